package pipeline

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/stream"
)

// TestARecordIsADeadLetterSoOftenAndThenDropped has a record fail that was a dead letter before, in each way in which one may.
func TestARecordIsADeadLetterSoOftenAndThenDropped(t *testing.T) {
	fail := stepFunc(func(b *stream.Batch) error {
		b.Fail(0, &stream.Cause{Step: "f", Reason: stream.ReasonError, Message: "no"})
		return nil
	})
	late := stepFunc(func(b *stream.Batch) error {
		b.Records[0].Cause = &stream.Cause{Step: "f", Reason: stream.ReasonLate, Message: "no"}
		b.Settle(0, stream.Late)
		return nil
	})
	lose := stepFunc(func(b *stream.Batch) error { // what it makes of the record has nothing of it but where it came from
		r := &b.Records[0]
		r.Preserve(new(stream.Original))
		r.Key, r.Value, r.Headers = nil, []byte("made"), nil
		return nil
	})
	refuse := func(c *client) { c.refuse = func(r stream.Record) bool { return r.Sink == 1 } }
	ways := []struct {
		name        string
		stages      []Stage
		prepare     func(*client)
		spec        func(*Spec)
		step        string
		reason      stream.Reason
		dead, after Counts
	}{
		{name: "a step", stages: []Stage{{"f", fail}}, step: "f", reason: stream.ReasonError},
		{name: "a step behind others", stages: []Stage{{"lose", lose}, {"f", fail}}, step: "f", reason: stream.ReasonError},
		{name: "a limit", spec: func(s *Spec) { s.Limits.ValueBytes = 1 }, step: "source", reason: stream.ReasonLimit},
		{name: "the key of a sink", spec: func(s *Spec) {
			s.Outputs[0].Key = func(*stream.Record) ([]byte, error) { return nil, errors.New("no") }
		}, step: "sink out", reason: stream.ReasonError},
		{name: "the brokers", prepare: refuse, step: "sink out", reason: stream.ReasonProduce},
		{name: "it is late", stages: []Stage{{"f", late}}, step: "f", reason: stream.ReasonLate, dead: Counts{In: 1, Late: 1}, after: Counts{In: 1, Late: 1}},
	}
	for _, way := range ways {
		if way.dead == (Counts{}) {
			way.dead, way.after = Counts{In: 1, DeadLettered: 1}, Counts{In: 1, Filtered: 1}
		}
		for _, hops := range []uint8{0, 1, hopsLimit - 1, hopsLimit, hopsLimit + 1, 255} {
			b := newBroker("read")
			b.log[0].Hops = hops
			s := spec(b, way.stages, way.prepare)
			if way.spec != nil {
				way.spec(s)
			}
			var dead, dropped []Coordinates
			s.Events.Dead = func(c Coordinates) { dead = append(dead, c) }
			s.Events.Dropped = func(c Coordinates) { dropped = append(dropped, c) }
			if err := drain(t, s, time.Second); err != nil {
				t.Fatalf("%s, %d times: %v", way.name, hops, err)
			}
			told, untold, want := dead, dropped, way.dead
			if hops >= hopsLimit {
				told, untold, want = dropped, dead, way.after
				if len(b.wrote) > 0 {
					t.Errorf("%s, %d times: it was written once more", way.name, hops)
				}
			} else if len(b.wrote) != 1 || b.wrote[0].Hops != hops+1 || b.wrote[0].Sink != 2 {
				t.Errorf("%s, %d times: wrote %+v, want a dead letter for the next time", way.name, hops, b.wrote)
			}
			if diff := cmp.Diff(want, s.Ledger.Counts()); diff != "" {
				t.Errorf("%s, %d times: the ledger: %s", way.name, hops, diff)
			}
			if len(told) != 1 || len(untold) != 0 || told[0].Record != "in/0@0" || told[0].Step != way.step || told[0].Reason != string(way.reason) || told[0].Hops != int(hops) {
				t.Errorf("%s, %d times: told %+v and %+v, want %s at %s", way.name, hops, dead, dropped, way.reason, way.step)
			}
		}
	}
}

func TestWhatWasADeadLetterGoesOnAsAnyRecordAndIsCountedOn(t *testing.T) {
	b := newBroker("once", "never")
	b.log[0].Hops = hopsLimit
	s := spec(b, []Stage{{"f", &Filter{"f", contains("")}}}, nil)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if len(b.wrote) != 2 || b.wrote[0].Hops != hopsLimit || b.wrote[1].Hops != 0 {
		t.Errorf("wrote %+v", b.wrote)
	}
	wantClosed(t, s, Counts{In: 2, Out: 2})
}

func TestAStepTellsWhatItDroppedAsFiltered(t *testing.T) {
	b := newBroker("first", "last")
	b.log[1].Hops = hopsLimit
	s := spec(b, []Stage{{"f", stepFunc(func(b *stream.Batch) error {
		for i := range b.Records {
			b.Fail(i, &stream.Cause{Step: "f", Reason: stream.ReasonError, Message: "no"})
		}
		return nil
	})}}, nil)
	h := listen(s)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if f := h.settled["f"]; f[stream.DeadLettered] != 1 || f[stream.Filtered] != 1 {
		t.Errorf("f settled %v", f)
	}
}
