package dedup_test

import (
	"context"
	"errors"
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
