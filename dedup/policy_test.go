package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/stream"
)

// switched is a store that can be away.
type switched struct {
	dedup.Store
	away bool
}

func (s *switched) Append(ctx context.Context, es []stream.LogAppend) error {
	if s.away {
		return stream.ErrUnavailable
	}
	return s.Store.Append(ctx, es)
}

func opened(t *testing.T, store dedup.Store, policy dedup.Unavailable, now func() time.Time) *dedup.Step {
	t.Helper()
	step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: store, OnUnavailable: policy, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := step.Open(t.Context(), stream.Assignment{Commit: stream.Commit{Floor: -1}}); err != nil {
		t.Fatal(err)
	}
	return step
}

func one(offset int64, id string) *stream.Batch {
	r := stream.Record{Key: []byte(id), Timestamp: 5_000_000, Origin: stream.Coordinate{Offset: offset}}
	return batchOf(stream.Partition{}, []stream.Record{r}, offset, offset+1)
}

func TestPolicyWhileTheStoreIsAway(t *testing.T) {
	for policy, want := range map[dedup.Unavailable]error{dedup.Stall: stream.ErrUnavailable, dedup.Fail: stream.ErrFailed} {
		store := &switched{Store: memstate.New().Space("p", "d")}
		step := opened(t, store, policy, nil)
		store.away = true
		if err := step.Process(t.Context(), one(0, "a")); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", policy, err, want)
		}
	}
}

func TestPassMarksRecordsAndFillsTheLogInLater(t *testing.T) {
	space := memstate.New().Space("p", "d")
	store := &switched{Store: space}
	now := time.UnixMilli(6_000_000)
	step := opened(t, store, dedup.Pass, func() time.Time { return now })
	store.away = true
	b := one(0, "a")
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.Records[0].Header("sp-dedup"); string(v) != "unchecked" || b.Records[0].Fate != stream.Flowing {
		t.Errorf("the record has the header %q and is %v", v, b.Records[0].Fate)
	}
	store.away, now = false, now.Add(2*time.Second)
	b = one(1, "a")
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if b.Records[0].Fate != stream.Duplicate {
		t.Errorf("the copy is %v", b.Records[0].Fate)
	}
	if st, err := space.Take(t.Context(), stream.StateKey{}, "x", nil); err != nil || st.Head != 2 {
		t.Errorf("the log ends at %d, want 2 (%v)", st.Head, err)
	}
}

func TestRecordWithoutIDIsADeadLetter(t *testing.T) {
	step := opened(t, memstate.New().Space("p", "d"), dedup.Stall, nil)
	b := one(0, "")
	b.Records[0].Key = nil
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if r := b.Records[0]; r.Fate != stream.DeadLettered || r.Cause.Reason != stream.ReasonDecode {
		t.Errorf("the record is %v because of %+v", r.Fate, r.Cause)
	}
}

// TestIDsAreToldApartByteForByte gives each id twice: a copy is that of its own id, whatever is in it.
func TestIDsAreToldApartByteForByte(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	all := []string{"", "a", "A", "a ", " a", "a\x00", "\x00", "\x00\x00", "\r\n", "a\r\nDEL *", "{tag}", "{", "*", "a*", "\xff", "\xfe\xff", "\u00e9", "e\u0301", "\ufffd", "1", "01", "1.0", long, long + "x", long[1:] + "y"}
	step := opened(t, memstate.New().Space("p", "d"), dedup.Stall, nil)
	b := batchOf(stream.Partition{}, nil, 0, int64(2*len(all)))
	for i := range 2 * len(all) {
		b.Records = append(b.Records, stream.Record{Key: []byte(all[i%len(all)]), Timestamp: 5_000_000, Origin: stream.Coordinate{Offset: int64(i)}})
	}
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i, r := range b.Records {
		if want := map[bool]stream.Fate{true: stream.Flowing, false: stream.Duplicate}[i < len(all)]; r.Fate != want {
			t.Errorf("record %d of id %.20q is %v, want %v", i, r.Key, r.Fate, want)
		}
	}
}

// TestOddTimestampsEndNoWindow has records between an id and its copy whose clocks are wrong: they are remembered themselves, and
// nothing is forgotten for them.
func TestOddTimestampsEndNoWindow(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for _, odd := range []int64{-1, 0, 253_402_300_799_999, math.MaxInt64, math.MinInt64, now.Add(-10 * time.Hour).UnixMilli()} {
		mem := memstate.New()
		step := opened(t, mem.Space("p", "d"), dedup.Stall, func() time.Time { return now })
		var log []stream.Record
		for _, r := range []struct {
			id string
			at int64
		}{{"a", now.UnixMilli()}, {"odd", odd}, {"a", now.UnixMilli() + 1}, {"odd", now.UnixMilli()}, {"odd", odd}, {"a", odd}} {
			log = append(log, stream.Record{Key: []byte(r.id), Timestamp: r.at, Origin: stream.Coordinate{Offset: int64(len(log))}})
		}
		b := batchOf(stream.Partition{}, log, 0, int64(len(log)))
		if err := step.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for i, r := range b.Records {
			if first := r.Fate == stream.Flowing; first != (i < 2) {
				t.Errorf("with a timestamp of %d record %d, of id %s, is %v", odd, i, r.Key, r.Fate)
			}
		}
	}
}

// judged processes one batch and says of each record its fate, its sink and of what it is a copy.
func judged(t *testing.T, step *dedup.Step, b *stream.Batch) (said []string) {
	t.Helper()
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Records {
		mark, _ := r.Header("sp-duplicate-of")
		said = append(said, fmt.Sprintf("%v %d %s", r.Fate, r.Sink, mark))
	}
	return said
}

func ids(from int64, ids ...string) *stream.Batch {
	log := make([]stream.Record, len(ids))
	for i, id := range ids {
		log[i] = stream.Record{Key: []byte(id), Timestamp: 5_000_000, Origin: stream.Coordinate{Partition: part, Offset: from + int64(i)}}
	}
	return batchOf(part, log, from, from+int64(len(ids)))
}

var part = stream.Partition{Topic: "t", ID: 4}

func TestADuplicateGoesWhereTheModeSays(t *testing.T) {
	for mode, want := range map[dedup.Mode]string{"": "duplicate 0 ", dedup.Drop: "duplicate 0 ", dedup.Tag: "flowing 0 t/4",
		dedup.Observe: "flowing 0 ", dedup.Side: "duplicate 3 t/4"} {
		t.Run(string(mode), func(t *testing.T) {
			var counts dedup.Verdicts
			step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: memstate.New().Space("p", "d"), Mode: mode, Side: 3,
				Events: dedup.Events{Judged: func(v dedup.Verdicts) { counts = v }}})
			if err != nil {
				t.Fatal(err)
			}
			if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
				t.Fatal(err)
			}
			if got := judged(t, step, ids(0, "a", "b", "a")); got[0] != "flowing 0 " || got[1] != "flowing 0 " || got[2] != want {
				t.Errorf("verdicts are %q, want %q for the copy", got, want)
			}
			if counts.First != 2 || counts.Duplicate != 1 {
				t.Errorf("counted %+v", counts)
			}
		})
	}
}

func TestVerdictsThatAreLostAreTreatedAsThePolicySays(t *testing.T) {
	for policy, want := range map[dedup.StateLoss]string{"": "duplicate", dedup.Rebuild: "duplicate", dedup.Accept: "flowing", dedup.Halt: "halt"} {
		t.Run(string(policy), func(t *testing.T) {
			mem := memstate.New()
			var repaired string
			c := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: mem.Space("p", "d"), OnStateLoss: policy,
				Events: dedup.Events{Repaired: func(p stream.Partition, from, to int64, how dedup.StateLoss) {
					repaired = fmt.Sprintf("%v %d %d %s", p, from, to, how)
				}}}
			first := ids(0, "a", "b")
			log := slices.Clone(first.Records)
			step, err := dedup.New(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
				t.Fatal(err)
			}
			judged(t, step, first)
			mem.Wipe()
			step, _ = dedup.New(c)
			commit := stream.Commit{Floor: 2, Head: 2}
			err = step.Open(t.Context(), stream.Assignment{Partition: part, Commit: commit, Position: 2, History: history{part, log, &commit}})
			if want == "halt" {
				if !errors.Is(err, stream.ErrHalt) {
					t.Errorf("opened with %v, want a halt", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := judged(t, step, ids(2, "a"))[0]; !strings.HasPrefix(got, want) {
				t.Errorf("the copy is %s, want %s", got, want)
			}
			if how := map[string]string{"duplicate": "t/4 0 2 rebuild", "flowing": "t/4 -1 2 accept"}[want]; repaired != how {
				t.Errorf("repaired %q, want %q", repaired, how)
			}
		})
	}
}

// A log that lost its tail, and one with a hole in it, are both the loss of what was committed.
func TestALogThatLostItsTailIsDerivedAgain(t *testing.T) {
	mem := memstate.New()
	c := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: mem.Space("p", "d")}
	log := slices.Clone(ids(0, "a", "b", "c", "d").Records)
	step, err := dedup.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
		t.Fatal(err)
	}
	judged(t, step, batchOf(part, log, 0, 2))
	back := mem.Snapshot()
	judged(t, step, batchOf(part, log, 2, 4))
	back()
	if err := step.Process(t.Context(), ids(4, "e")); !errors.Is(err, stream.ErrLost) {
		t.Fatalf("appending behind the end of a log that was rolled back: %v, want lost", err)
	}
	step, _ = dedup.New(c)
	commit := stream.Commit{Floor: 4, Head: 4}
	if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: commit, Position: 4, History: history{part, log, &commit}}); err != nil {
		t.Fatal(err)
	}
	for i, got := range judged(t, step, ids(4, "d", "a", "c")) {
		if !strings.HasPrefix(got, "duplicate") {
			t.Errorf("copy %d is %s", i, got)
		}
	}
}

// An entry that is whole but does not follow the one before it is a hole: what lies behind it is not the log.
func TestAHoleInTheLogIsItsEnd(t *testing.T) {
	mem := memstate.New()
	space := mem.Space("p", "d")
	c := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: space}
	log := slices.Clone(ids(0, "a", "b", "c", "d").Records)
	step, err := dedup.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
		t.Fatal(err)
	}
	var ends []int64
	k := stream.StateKey{Partition: part}
	for i := range int64(4) {
		judged(t, step, batchOf(part, log, i, i+1))
		data, err := space.Read(t.Context(), k, 1, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int64(len(data)))
	}
	data, err := space.Read(t.Context(), k, 1, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := space.Take(t.Context(), k, "x", nil); err != nil {
		t.Fatal(err)
	}
	// The entries of offsets 0, 1 and 3, as a store might hold them that lost one write in the middle.
	if err := space.Cut(t.Context(), k, "x", 1, ends[1], 2); err != nil {
		t.Fatal(err)
	}
	forged := []stream.LogAppend{{Key: k, Token: "x", From: 2, To: 4, Segment: 1, Length: ends[1], First: 1, Data: data[ends[2]:]}}
	if err := space.Append(t.Context(), forged); err != nil || forged[0].Err != nil {
		t.Fatal(err, forged[0].Err)
	}
	step, _ = dedup.New(c)
	commit := stream.Commit{Floor: 4, Head: 4}
	if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: commit, Position: 4, History: history{part, log, &commit}}); err != nil {
		t.Fatal(err)
	}
	if got := judged(t, step, ids(4, "c"))[0]; !strings.HasPrefix(got, "duplicate") {
		t.Errorf("a copy of what the hole swallowed is %s", got)
	}
}

func TestAWorkerThatWasReplacedCannotWrite(t *testing.T) {
	space := memstate.New().Space("p", "d")
	zombie := opened(t, space, dedup.Stall, nil)
	owner := opened(t, space, dedup.Stall, nil)
	if err := zombie.Process(t.Context(), one(0, "a")); !errors.Is(err, stream.ErrStale) {
		t.Errorf("the one that was replaced: %v, want stale", err)
	}
	if err := owner.Process(t.Context(), one(0, "a")); err != nil {
		t.Errorf("the owner: %v", err)
	}
}

func TestAWorkerThatIsLateDoesNotRemoveTheLog(t *testing.T) {
	space := memstate.New().Space("p", "d")
	c := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: space}
	commit := stream.Commit{Floor: -1}
	open := func(position int64) (*dedup.Step, error) {
		step, err := dedup.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return step, step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}, Position: position, History: history{part, nil, &commit}})
	}
	owner, err := open(1)
	if err != nil {
		t.Fatal(err)
	}
	judged(t, owner, ids(1, "a", "b"))
	commit = stream.Commit{Floor: 3, Head: 3}
	if _, err := open(0); !errors.Is(err, stream.ErrStale) {
		t.Errorf("the late one opens with %v, want stale", err)
	}
	st, err := space.Take(t.Context(), stream.StateKey{Partition: part}, "x", nil)
	if err != nil || st.Head != 3 {
		t.Errorf("the log ends at %d, want 3 (%v)", st.Head, err)
	}
}

func TestACopyOfWhatWasSkippedIsNoDuplicate(t *testing.T) {
	mem := memstate.New()
	c := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: mem.Space("p", "d")}
	log := slices.Clone(ids(0, "a", "b", "c", "d", "a", "c").Records)
	for life := range 2 { // with the state of before, which the skip has dropped, and with that of the first life lost again
		step, err := dedup.New(c)
		if err != nil {
			t.Fatal(err)
		}
		commit := stream.Commit{Floor: 4, Head: 4, Skips: "2-4"}
		if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: commit, Position: 4, History: history{part, log, &commit}}); err != nil {
			t.Fatal(err)
		}
		got := judged(t, step, batchOf(part, log, 4, 6))
		if got[0] != "duplicate 0 " || got[1] != "flowing 0 " {
			t.Errorf("life %d: the copies of what was processed and of what was skipped are %q", life, got)
		}
		mem.Wipe()
	}
}
