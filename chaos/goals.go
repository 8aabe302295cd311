package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// goal is one line of what all scenarios together are to reach.
type goal struct {
	What, Want, Got string
	Reached         bool
}

// Goals are the lines, with what they are about.
type Goals struct {
	Commit, Delivery string
	Runs             int
	Lines            []goal
}

// What a whole batch must bring. Recovery is a matter of all faults together, the rest of each run.
const (
	wantRecords  = 20_000_000
	recoveryOver = 5 * time.Second // beyond the session timeout, for 99 of 100 faults
	caughtUpGoal = 60 * time.Second
	recoveryGoal = sessionTimeout + recoveryOver
	longFreeze   = 60 * time.Second
)

var wantFaults = []struct {
	fault string
	times int
}{{"SIGKILL", 200}, {"SIGSTOP", 50}, {"Redis SIGKILL", 50}, {"Redis rollback", 20}, {"broker SIGKILL", 20}}

// tally compares the runs of the commit of the newest one, at one level of delivery, with the goals.
func tally(reports []Report, delivery string) Goals {
	runs := slices.DeleteFunc(slices.Clone(reports), func(r Report) bool { return r.Delivery != delivery || r.Growth != nil })
	if len(runs) == 0 {
		return Goals{Delivery: delivery, Lines: []goal{{"runs", "one at least", "none", false}}}
	}
	newest := slices.MaxFunc(runs, func(a, b Report) int { return a.Begun.Compare(b.Begun) })
	runs = slices.DeleteFunc(runs, func(r Report) bool { return r.Commit != newest.Commit })
	g := Goals{Commit: newest.Commit, Delivery: delivery, Runs: len(runs)}
	g.counts(runs)
	g.verdicts(runs)
	return g
}

func (g *Goals) add(what, want, got string, reached bool) {
	g.Lines = append(g.Lines, goal{what, want, got, reached})
}

// counts asks for the number of faults and records.
func (g *Goals) counts(runs []Report) {
	counts, records, long := map[string]int{}, int64(0), 0
	for _, r := range runs {
		records += r.Records
		for fault, n := range r.Count() {
			counts[fault] += n
		}
		for _, h := range r.Faults {
			if h.Fault == "SIGSTOP" && h.End.Sub(h.Begin) >= longFreeze {
				long++
			}
		}
	}
	g.add("records", fmt.Sprintf("≥ %d", wantRecords), fmt.Sprint(records), records >= wantRecords)
	for _, w := range wantFaults {
		g.add(w.fault, fmt.Sprintf("≥ %d", w.times), fmt.Sprint(counts[w.fault]), counts[w.fault] >= w.times)
	}
	g.add("SIGSTOP of 60 s", "some", fmt.Sprint(long), long > 0)
}

// verdicts asks what became of the records, how fast it went on, and how large Redis was.
func (g *Goals) verdicts(runs []Report) {
	var unsound, large, slow []string
	var lost, twice, misordered, spoilt int64
	var faults []Happened
	worst := slices.MaxFunc(runs, func(a, b Report) int { return cmp.Compare(a.CaughtUp, b.CaughtUp) })
	for _, r := range runs {
		v := r.Sum()
		lost, misordered, spoilt, twice = lost+v.Lost, misordered+v.Misordered, spoilt+v.Altered+v.Foreign+v.Unwanted, twice+v.Leaked+v.Unexcused
		if r.once() {
			twice += v.Repeated - v.Unexcused
		}
		if faults = append(faults, r.Faults...); !r.Sound() {
			unsound = append(unsound, r.Scenario)
		}
		if !r.redisBounded() {
			large = append(large, r.Scenario)
		}
		if !r.caughtUpInTime() {
			slow = append(slow, r.Scenario)
		}
	}
	for _, n := range []struct {
		what string
		n    int64
	}{{"lost", lost}, {"duplicated", twice}, {"misordered", misordered}, {"spoilt", spoilt}} {
		g.add(n.what, "0", fmt.Sprint(n.n), n.n == 0)
	}
	g.add("unsound runs", "none", names(unsound), len(unsound) == 0)
	xs, crowded, unfed := measured(faults)
	p99 := quantile(xs, 0.99)
	g.add("99 % of recoveries", fmt.Sprintf("< %v", recoveryGoal), fmt.Sprintf("%.1f s (of %d faults; %d crowded, %d at the end)", p99, len(xs), crowded, unfed),
		len(xs) > 0 && p99 < recoveryGoal.Seconds())
	g.add("Redis beyond its bound", "in no run", names(large), len(large) == 0)
	g.add("lag 0 after the faults", fmt.Sprintf("≤ %v in each run", caughtUpGoal), fmt.Sprintf("%.1f s at most; too late: %s", worst.CaughtUp, names(slow)), len(slow) == 0)
}

func (r Report) redisBounded() bool { return r.RedisPeak <= r.RedisBound }

func (r Report) caughtUpInTime() bool { return r.CaughtUp <= caughtUpGoal.Seconds() }

func names(scenarios []string) string { return cmp.Or(strings.Join(scenarios, ", "), "none") }

// beyond names the goals of its own that a run misses. With few faults, the 99th percentile is the largest.
func (r Report) beyond() (goals []string) {
	if xs, _, _ := measured(r.Faults); quantile(xs, 0.99) >= recoveryGoal.Seconds() {
		goals = append(goals, "recovery")
	}
	if !r.redisBounded() {
		goals = append(goals, "Redis")
	}
	if !r.caughtUpInTime() {
		goals = append(goals, "lag")
	}
	return goals
}

// measured are the recoveries of unplanned faults, and how many have none of their own.
func measured(faults []Happened) (xs []float64, crowded, unfed int) {
	for _, h := range faults {
		switch {
		case h.measured():
			xs = append(xs, h.Recovery)
		case h.Planned:
		case h.Unfed:
			unfed++
		default:
			crowded++
		}
	}
	slices.Sort(xs)
	return xs, crowded, unfed
}

// Reached says whether every line is.
func (g Goals) Reached() bool {
	return !slices.ContainsFunc(g.Lines, func(l goal) bool { return !l.Reached })
}

// String is the goals as a table of text.
func (g Goals) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs of commit %s, %s\n", g.Runs, g.Commit, g.Delivery)
	for _, l := range g.Lines {
		word := "ok    "
		if !l.Reached {
			word = "MISSED"
		}
		fmt.Fprintf(&b, "  %s %-24s want %-22s got %s\n", word, l.What, l.Want, l.Got)
	}
	return b.String()
}
