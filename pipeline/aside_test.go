package pipeline

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/stream"
)

func TestDuplicatesAndLateRecordsWithASinkOfTheirOwnLeaveTheFlowForIt(t *testing.T) {
	b := newBroker("a", "copy", "late", "keyless", "b")
	aside := stepFunc(func(b *stream.Batch) error {
		for i := range b.Records {
			if fate, ok := map[string]stream.Fate{"copy": stream.Duplicate, "late": stream.Late, "keyless": stream.Late}[string(b.Records[i].Value)]; ok {
				b.Records[i].Sink = 3
				b.Settle(i, fate)
			}
		}
		return nil
	})
	after := stepFunc(func(b *stream.Batch) error {
		for i := range b.Records {
			b.Records[i].Value = append([]byte("after "), b.Records[i].Value...)
		}
		return nil
	})
	s := spec(b, []Stage{{"aside", aside}, {"after", after}}, nil)
	s.Outputs[2].Key = func(r *stream.Record) ([]byte, error) {
		if string(r.Value) == "keyless" {
			return nil, errors.New("no key")
		}
		return []byte("key of " + string(r.Value)), nil
	}
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[stream.Sink][]string{1: {"after a", "after b"}, 2: {"keyless"}, 3: {"copy", "late"}} {
		if diff := cmp.Diff(want, wrote(b, sink)); diff != "" {
			t.Errorf("sink %d: %s", sink, diff)
		}
	}
	for _, r := range b.wrote {
		if r.Sink == 3 && string(r.Key) != "key of "+string(r.Value) {
			t.Errorf("%s went aside with the key %s", r.Value, r.Key)
		}
	}
	wantClosed(t, s, Counts{In: 5, Out: 2, Duplicates: 1, Late: 1, DeadLettered: 1})
}
