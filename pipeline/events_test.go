package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/stream"
)

// heard gathers what a pipeline tells, by step.
type heard struct {
	in, out   map[string]int
	settled   map[string][stream.Fates]int
	standings []Standing
}

func listen(s *Spec) *heard {
	h := &heard{in: map[string]int{}, out: map[string]int{}, settled: map[string][stream.Fates]int{}}
	s.Events.Step = func(w Work) {
		h.in[w.Step] += w.In
		h.out[w.Step] += w.Out
		sum := h.settled[w.Step]
		for fate, n := range w.Settled {
			sum[fate] += n
		}
		h.settled[w.Step] = sum
	}
	s.Events.Standing = func(_ int, st Standing) { h.standings = append(h.standings, st) }
	return h
}

func TestEachStepTellsWhatItDid(t *testing.T) {
	b := newBroker("keep1", "drop", "bad", "keep2", "strong")
	keep := &Filter{Name: "f", Keep: match(func(r *stream.Record) (bool, error) {
		if string(r.Value) == "bad" {
			return false, errors.New("no such field")
		}
		return string(r.Value) != "drop", nil
	})}
	route := &Route{Name: "r", Rules: []Rule{{When: contains("strong"), To: 3, Stages: []Stage{{"inner", &Filter{"inner", contains("nothing")}}}}}, Otherwise: 1}
	s := spec(b, []Stage{{"f", keep}, {"r", route}}, nil)
	route.Events = &s.Events
	h := listen(s)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"f": 5, "r": 3, "inner": 1}, h.in); diff != "" {
		t.Errorf("in: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"f": 3, "r": 2, "inner": 0}, h.out); diff != "" {
		t.Errorf("out: %s", diff)
	}
	if f := h.settled["f"]; f[stream.Filtered] != 1 || f[stream.DeadLettered] != 1 {
		t.Errorf("f settled %v", f)
	}
	if h.settled["inner"][stream.Filtered] != 1 || h.settled["r"][stream.Filtered] != 1 {
		t.Errorf("a branch settled %v, its route %v", h.settled["inner"], h.settled["r"])
	}
}

func TestACommittedCheckpointTellsWhereItsPartitionsStand(t *testing.T) {
	b := newBroker("a", "b", "c", "d", "e")
	for i := range b.log {
		b.log[i].Timestamp = int64(i + 1)
	}
	s := spec(b, nil, nil)
	h := listen(s)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	want := Standing{Partition: input, Floor: 5, Next: 5, End: 5, First: 1, Last: 5, Committed: true}
	if got := h.standings[len(h.standings)-1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAStalledWorkerTellsHowFarItIsBehind(t *testing.T) {
	b := newBroker("a", "b", "c")
	s := spec(b, []Stage{{"s", stepFunc(func(*stream.Batch) error { return fmt.Errorf("asking: %w", stream.ErrUnavailable) })}}, nil)
	s.Ready = func(context.Context) error { return errors.New("still away") }
	b.log[0].Timestamp = 7
	h := listen(s)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	want := []Standing{{Partition: input, Floor: 0, Next: 0, End: 3, First: 7, Last: 7}}
	if diff := cmp.Diff(want, h.standings); diff != "" {
		t.Error(diff)
	}
}

func TestTheLedgerClosesForEachPartition(t *testing.T) {
	l, p, q := NewLedger(), stream.Partition{Topic: "in"}, stream.Partition{Topic: "in", ID: 1}
	l.enter(p, &fates{read: 3, by: [stream.Fates]int64{stream.Out: 1}}, 2)
	l.enter(q, &fates{read: 2, by: [stream.Fates]int64{stream.Late: 1, stream.Replayed: 1}}, 0)
	l.leave(p)
	l.enter(p, &fates{read: 2, by: [stream.Fates]int64{stream.Out: 2}}, 0) // it came back, and the held ones were read again
	want := map[stream.Partition]Counts{p: {In: 5, Out: 3, Held: 2}, q: {In: 1, Late: 1, Replayed: 1}}
	if diff := cmp.Diff(want, l.Partitions()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Counts{In: 6, Out: 3, Held: 2, Late: 1, Replayed: 1}, l.Counts()); diff != "" {
		t.Error(diff)
	}
	l.enter(p, &fates{read: 1}, 0)
	l.enter(q, &fates{by: [stream.Fates]int64{stream.Out: 1}}, 0)
	if d := l.Counts().Difference(); d != 0 {
		t.Errorf("the sum differs by %d", d)
	}
	if d := l.Difference(); d != 2 {
		t.Errorf("the ledger differs by %d, want 2: one partition lacks what the other has too much", d)
	}
}

// holder is a step that holds everything back.
type holder struct{ held map[stream.Partition]int }

var _ Holder = (*holder)(nil)

func (h *holder) Note(stream.Partition) string { return "" }

func (h *holder) Process(_ context.Context, b *stream.Batch) error {
	for i := range b.Records {
		h.held[b.Records[i].Origin.Partition]++
	}
	b.Replace(b.Rewrite())
	return nil
}
func (h *holder) Open(context.Context, stream.Assignment) error { return nil }
func (h *holder) Close(p stream.Partition)                      { delete(h.held, p) }
func (h *holder) Held(p stream.Partition) (int, int64)          { return h.held[p], 0 }
func (h *holder) Watermark(stream.Partition) int64              { return noWatermark }
func (h *holder) Oldest(p stream.Partition) time.Time {
	if h.held[p] == 0 {
		return time.Time{}
	}
	return time.Unix(7, 0)
}

func TestWhatIsHeldIsToldAndGoesWithItsPartition(t *testing.T) {
	b := newBroker("a", "b", "c")
	h := &holder{held: map[stream.Partition]int{}}
	given := false
	s := spec(b, []Stage{{"h", h}}, func(c *client) {
		c.onPoll = func(poll int) error {
			if poll == 2 && !given {
				given = true
				c.revoking <- stream.Revocation{Partitions: []stream.Partition{input}, Ended: func() {}}
			}
			return nil
		}
	})
	var told []Holding
	var left []stream.Partition
	s.Events.Holding = func(_ int, h Holding) { told = append(told, h) }
	s.Events.Left = func(_ int, p stream.Partition) { left = append(left, p) }
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	want := []Holding{{Step: "h", Inputs: 3, Oldest: time.Unix(7, 0)}, {Step: "h"}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]stream.Partition{input}, left); diff != "" {
		t.Error(diff)
	}
	wantClosed(t, s, Counts{In: 3, Held: 3})
}
