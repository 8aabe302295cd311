package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// sent makes a log of one partition out of "key:sequence", a second apart.
func sent(ids ...string) []Sent {
	var log []Sent
	for i, id := range ids {
		key, _, _ := strings.Cut(id, ":")
		s := Sent{Number: i, Offset: int64(i), At: after(i), Key: key, ID: id, Value: fmt.Sprint("value ", i)}
		_, _ = fmt.Sscanf(id, key+":%d", &s.Sequence)
		s.Event = s.Sequence * 10
		log = append(log, s)
	}
	return log
}

// seen makes outputs of the records with these numbers, a second apart, from second 100.
func seen(log []Sent, numbers ...int) []Seen {
	var out []Seen
	for i, n := range numbers {
		out = append(out, Seen{Number: n, Offset: int64(i), At: after(100 + i), Key: log[n].Key, Value: log[n].Value})
	}
	return out
}

func committed(offsets ...int64) []Commit {
	var cs []Commit
	for i, o := range offsets {
		cs = append(cs, Commit{Offset: o, At: after(100 + i)})
	}
	return cs
}

// TestEachViolationIsFound gives the judge a case for each rule, made by hand, and one that keeps it.
func TestEachViolationIsFound(t *testing.T) {
	plain := sent("a:0", "a:1", "b:0", "a:2")
	copies := sent("a:0", "a:1", "a:0", "a:1", "a:2")
	mixed := sent("a:1", "a:0", "a:2", "a:3")
	fault := []Trouble{{after(99), after(101)}}
	dedup := Promise{Once: true, Window: time.Hour}
	sequence := Promise{Once: true, Order: BySequence, Gapless: true}
	global := Promise{Once: true, Window: time.Hour, Global: true, Order: Unordered}
	gaps := Promise{Once: true, Order: BySequence}
	for _, c := range []struct {
		name    string
		c       Case
		want    Verdict // counts only
		finding string
	}{
		{"all is well", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 0, 1, 2, 3), Commits: committed(2, 4)}, Verdict{}, ""},
		{"keys in another order among each other", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 2, 0, 1, 3), Commits: committed(4)}, Verdict{}, ""},

		{"C1 lost", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 0, 1, 3), Commits: committed(4)}, Verdict{Lost: 1}, "C1: record 2 (b:0) at 0@2 is lost"},
		{"C1 the first copy is lost", Case{Promise: dedup, Sent: copies, Seen: seen(copies, 1, 4), Commits: committed(5)}, Verdict{Lost: 1}, "C1: record 0"},
		{"C1 a record in order is a dead letter", Case{Promise: dedup, Sent: plain, Seen: seen(plain, 0, 1, 3), Dead: []Dead{{Offset: 2, Reason: "late"}}, Commits: committed(4)}, Verdict{Lost: 1}, "C1"},
		{"C1 a broken record is not a dead letter", Case{Promise: dedup, Sent: broken(plain, 2), Seen: seen(plain, 0, 1, 3), Commits: committed(4)}, Verdict{Lost: 1}, "C1: record 2"},
		{"a broken record is a dead letter", Case{Promise: dedup, Sent: broken(plain, 2), Seen: seen(plain, 0, 1, 3), Dead: []Dead{{Offset: 2, Reason: "decode"}}, Commits: committed(4)}, Verdict{}, ""},
		{"C8 undelivered is not lost", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 0, 1, 2), Commits: committed(3)}, Verdict{Undelivered: 1}, "C8: record 3"},

		{"copies are left out", Case{Promise: dedup, Sent: copies, Seen: seen(copies, 0, 1, 4), Commits: committed(5)}, Verdict{}, ""},
		{"C2 a copy comes out as well", Case{Promise: dedup, Sent: copies, Seen: seen(copies, 0, 1, 3, 4), Commits: committed(5)}, Verdict{Duplicated: 1}, "C2: record 3"},
		{"C2 a copy comes out in the place of the first", Case{Promise: dedup, Sent: copies, Seen: seen(copies, 1, 2, 4), Commits: committed(5)}, Verdict{Duplicated: 1, Lost: 1}, "C2: record 2"},
		{"C2 the same record again", Case{Promise: dedup, Sent: copies, Seen: seen(copies, 0, 1, 1, 4), Commits: committed(5)}, Verdict{Duplicated: 1}, "C2: record 1"},
		{"C2 out and a dead letter", Case{Promise: gaps, Sent: mixed, Seen: seen(mixed, 1, 0, 2, 3), Dead: []Dead{{Offset: 1, Reason: "late"}}, Commits: committed(4)}, Verdict{Duplicated: 1}, "C2: record 1"},
		{"C2 two copies of a sequence", Case{Promise: sequence, Sent: copies, Seen: seen(copies, 0, 1, 3, 4), Commits: committed(5)}, Verdict{Duplicated: 1}, "C2: record 3"},
		{"a copy behind the window passes", Case{Promise: Promise{Once: true, Window: time.Second}, Sent: copies, Seen: seen(copies, 0, 1, 2, 3, 4), Commits: committed(5)}, Verdict{}, ""},
		{"C1 a copy behind the window has to pass", Case{Promise: Promise{Once: true, Window: time.Second}, Sent: copies, Seen: seen(copies, 0, 1, 3, 4), Commits: committed(5)}, Verdict{Lost: 1}, "C1: record 2"},

		{"any copy will do", Case{Promise: global, Sent: copies, Seen: seen(copies, 4, 1, 2), Commits: committed(5)}, Verdict{}, ""},
		{"C2 two copies from anywhere", Case{Promise: global, Sent: copies, Seen: seen(copies, 4, 1, 2, 3), Commits: committed(5)}, Verdict{Duplicated: 1}, "C2: record 3"},
		{"C1 none of the copies", Case{Promise: global, Sent: copies, Seen: seen(copies, 4, 2), Commits: committed(5)}, Verdict{Lost: 2}, "C1: record 1"},
		{"C8 still under way", Case{Promise: global, Open: true, Sent: copies, Seen: seen(copies, 4, 2), Commits: committed(5)}, Verdict{Undelivered: 2}, "C8: record 1"},
		{"C3 out of the order of the log", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 1, 0, 2, 3), Commits: committed(4)}, Verdict{Misordered: 1}, "C3: key a: record 0"},
		{"order by sequence", Case{Promise: sequence, Sent: mixed, Seen: seen(mixed, 1, 0, 2, 3), Commits: committed(4)}, Verdict{}, ""},
		{"C3 out of sequence", Case{Promise: sequence, Sent: mixed, Seen: seen(mixed, 0, 1, 2, 3), Commits: committed(4)}, Verdict{Misordered: 1}, "C3: key a: record 1"},
		{"C1 a gap where none may be", Case{Promise: sequence, Sent: mixed, Seen: seen(mixed, 0, 2, 3), Dead: []Dead{{Offset: 1, Reason: "late"}}, Commits: committed(4)}, Verdict{Lost: 1}, "C1: record 1"},
		{"a gap that ended is a dead letter", Case{Promise: gaps, Sent: mixed, Seen: seen(mixed, 0, 2, 3), Dead: []Dead{{Offset: 1, Reason: "late"}}, Commits: committed(4)}, Verdict{}, ""},
		{"C3 event time descends", Case{Promise: Promise{Once: true, Order: ByTime}, Sent: mixed, Seen: seen(mixed, 0, 1, 2, 3), Commits: committed(4)}, Verdict{Misordered: 1}, "C3"},
		{"a decision by the clock is taken back", Case{Promise: Promise{Order: BySequence}, Sent: mixed, Seen: seen(mixed, 0, 1, 0, 2, 3), Troubles: fault, Commits: committed(4)}, Verdict{Repeated: 1}, ""},
		{"a replaced worker lets go what is late by now", Case{Promise: Promise{Order: BySequence}, Sent: mixed, Seen: seen(mixed, 0, 1, 2, 3), Dead: []Dead{{Offset: 1, Reason: "late"}}, Troubles: fault, Commits: committed(4)}, Verdict{}, ""},
		{"C3 it is not, where transactions hide it", Case{Promise: gaps, Sent: mixed, Seen: seen(mixed, 0, 1, 0, 2, 3), Commits: committed(4)}, Verdict{Misordered: 1, Duplicated: 1}, "C3"},

		{"C4 altered", Case{Promise: Promise{Once: true}, Sent: plain, Seen: altered(seen(plain, 0, 1, 2, 3), "other"), Commits: committed(4)}, Verdict{Altered: 1}, "C4"},
		{"C5 foreign", Case{Promise: Promise{Once: true}, Sent: plain, Seen: append(seen(plain, 0, 1, 2, 3), Seen{Number: 77}), Commits: committed(4)}, Verdict{Foreign: 1}, "C5"},
		{"C6 backwards", Case{Promise: Promise{Once: true}, Sent: plain, Seen: seen(plain, 0, 1, 2, 3), Commits: committed(3, 2, 4)}, Verdict{Backwards: 1}, "C6: partition 0 went back from 3 to 2"},

		{"C10 again around a fault", Case{Promise: Promise{}, Sent: plain, Seen: seen(plain, 0, 1, 2, 1, 3), Troubles: fault, Commits: committed(4)}, Verdict{Repeated: 1}, ""},
		{"C10 again, and there was no fault", Case{Promise: Promise{}, Sent: plain, Seen: seen(plain, 0, 1, 2, 1, 3), Commits: committed(4)}, Verdict{Repeated: 1, Unexcused: 1}, "C10: record 1"},
		{"C10 again, long after the fault", Case{Promise: Promise{Settle: time.Second}, Sent: plain, Seen: seen(plain, 0, 1, 2, 3, 3), Troubles: []Trouble{{after(50), after(60)}}, Commits: committed(4)},
			Verdict{Repeated: 1, Unexcused: 1}, "C10: record 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Judge(c.c)
			findings := got.Findings
			if got.Findings = nil; fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("verdict %+v, want %+v; findings %q", got, c.want, findings)
			}
			if c.finding != "" && !slices.ContainsFunc(findings, func(f string) bool { return strings.HasPrefix(f, c.finding) }) {
				t.Errorf("findings %q, want one that begins with %q", findings, c.finding)
			}
		})
	}
}

func broken(log []Sent, n int) []Sent {
	log = slices.Clone(log)
	log[n].Broken = true
	return log
}

func altered(out []Seen, value string) []Seen {
	out[0].Value = value
	return out
}

func TestWhatIsUndeliveredDoesNotFailARun(t *testing.T) {
	for _, c := range []struct {
		r    Result
		fail bool
	}{
		{Result{}, false},
		{Result{Verdict: Verdict{Undelivered: 3}, Recovery: time.Hour}, false},
		{Result{Recovery: RecoveryLimit + time.Second}, true},
		{Result{Verdict: Verdict{Lost: 1}}, true},
		{Result{Unfounded: 1}, true},
		{Result{Halts: []string{"why"}}, true},
	} {
		if c.r.Failed() != c.fail {
			t.Errorf("%+v: failed is %v", c.r, !c.fail)
		}
	}
}
