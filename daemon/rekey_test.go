package daemon

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kgo"
)

const spread = `version: 1
pipelines:
  spread:
    commit_interval: 50ms
    source: { topics: [spread] }
    steps:
      - { name: wanted, filter: 'value.id != "x"' }
      - { name: once, dedup: { key: $.id, window: 24h, scope: global, mode: side:copies } }
      - { name: in-order, reorder: { key: $.k, sequence: $.seq, first: 0, max_wait: 10s, scope: global } }
    sinks: { out: { topic: together }, copies: { topic: copies } }
`

// TestAStepOfScopeGlobalSeesAllPartitions gives each id twice, under two message keys, and the sequence of one key in all
// partitions.
func TestAStepOfScopeGlobalSeesAllPartitions(t *testing.T) {
	r := newRig(t, spread)
	const n = 40
	records := func(yield func(devstack.Record) bool) {
		for i := range n {
			for copies := range 2 {
				v := fmt.Sprintf(`{"id":"%d","k":"k%d","seq":%d}`, i, i%2, i/2)
				if !yield(devstack.Record{Key: fmt.Appendf(nil, "%d of %d", copies, i), Value: []byte(v)}) {
					return
				}
			}
		}
		_ = yield(devstack.Record{Value: []byte(`{"id":"x"}`)}) && yield(devstack.Record{Key: []byte("bad"), Value: []byte(`{"k":"no id"}`)})
	}
	if _, err := devstack.Feed(r.Context(), r.stack.Brokers(), []string{"spread"}, records, 0); err != nil {
		t.Fatal(err)
	}
	r.run()
	last := r.until("spread", func(s Status) bool { return s.Ledger.Out == n })
	first := r.until("spread.rekey", func(s Status) bool { return s.Ledger.In == 2*n+2 })
	if diff := cmp.Diff(pipeline.Counts{In: 2*n + 2, Out: 2 * n, Filtered: 1, DeadLettered: 1}, first.Ledger); diff != "" {
		t.Errorf("the part before dedup: %s", diff)
	}
	if diff := cmp.Diff(pipeline.Counts{In: 2 * n, Out: n, Duplicates: n}, r.until("spread.rekey-2", func(s Status) bool { return s.Ledger.In == 2*n }).Ledger); diff != "" {
		t.Errorf("the part from dedup to reorder: %s", diff)
	}
	if diff := cmp.Diff(pipeline.Counts{In: n, Out: n}, last.Ledger); diff != "" {
		t.Errorf("the last part: %s", diff)
	}
	next := map[string]int{}
	for _, rec := range readBack(t, r.stack.Brokers(), "together", n) {
		var id, seq int
		var k string
		if _, err := fmt.Sscanf(strings.NewReplacer(`"`, " ", ",", " ", ":", " ").Replace(string(rec.Value)), "{ id   %d   k   %s   seq  %d", &id, &k, &seq); err != nil {
			t.Fatalf("%s: %v", rec.Value, err)
		}
		if seq != next[k] {
			t.Errorf("%s: %d came where %d is next", k, seq, next[k])
		}
		next[k]++
		if key := string(rec.Key); key != fmt.Sprintf("0 of %d", id) && key != fmt.Sprintf("1 of %d", id) {
			t.Errorf("%s has the key %q, not its own", rec.Value, key)
		}
		for _, h := range rec.Headers {
			if h.Key == "sp-key" {
				t.Errorf("%s still carries the key that it was written under", rec.Value)
			}
		}
	}
	if !maps.Equal(next, map[string]int{"k0": n / 2, "k1": n / 2}) {
		t.Errorf("came %v", next)
	}
	for _, rec := range readBack(t, r.stack.Brokers(), "copies", n) {
		if len(rec.Key) == 0 {
			t.Error("a copy has lost its key")
		}
	}
	if dead := readBack(t, r.stack.Brokers(), "spread.dlq", 1); string(dead[0].Key) != "bad" {
		t.Errorf("the dead letter has the key %q", dead[0].Key)
	}
}

func readBack(t *testing.T, brokers []string, topic string, n int) (records []*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(records) < n {
		records = append(records, cl.PollFetches(ctx).Records()...)
		if ctx.Err() != nil {
			t.Fatalf("topic %s brought %d records, want %d", topic, len(records), n)
		}
	}
	return records
}
