package daemon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kgo"
)

// rounds is how often a record may be a dead letter.
const rounds = 16

// copyBack writes the dead letters of guarded to where they came from until the test ends, with a neighbour behind each.
func (p *place) copyBack(neighbour func(i int) string) {
	p.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.stack.Brokers()...), kgo.ConsumeTopics("guarded.dlq"), kgo.DefaultProduceTopic("in"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		p.Fatal(err)
	}
	done := make(chan struct{})
	p.Cleanup(func() { <-done; cl.Close() })
	go func() {
		defer close(done)
		for n := 0; p.Context().Err() == nil; {
			cl.PollFetches(p.Context()).EachRecord(func(r *kgo.Record) {
				n++
				again := &kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers}
				if err := cl.ProduceSync(p.Context(), again, &kgo.Record{Value: []byte(neighbour(n))}).FirstErr(); err != nil && p.Context().Err() == nil {
					p.Errorf("copying back: %v", err)
				}
			})
		}
	}()
}

const failing = `version: 1
pipelines:
  guarded:
    delivery: at_least_once
    commit_interval: 20ms
    source: { topics: [in] }
    steps: [ { name: picky, transform: { wasm: "${PLUGIN}" } } ]
    sinks: { out: { topic: out } }
`

const backAgain = `  back:
    commit_interval: 20ms
    source: { topics: [guarded.dlq] }
    sinks: { in: { topic: in } }
`

const ordering = `version: 1
pipelines:
  guarded:
    commit_interval: 20ms
    source: { topics: [in] }
    steps: [ { name: in-order, reorder: { key: $.k, sequence: $.seq, first: 0, scope: global, late: dlq } } ]
    sinks: { out: { topic: out } }
`

// TestADeadLetterThatIsCopiedBackEndsByItself has dead letters copied back for as long as there are any: by somebody else, by a
// pipeline, and into the first part of one whose second part cannot take them.
func TestADeadLetterThatIsCopiedBackEndsByItself(t *testing.T) {
	dead := pipeline.Counts{DeadLettered: rounds, Filtered: 1}
	for _, c := range []struct {
		name, yaml     string
		before, poison string
		neighbour      string
		reason         string
		copier         bool
		ends           pipeline.Counts
	}{
		{"by somebody", failing, "keep", "fail", "keep %d", "error", true, dead},
		{"in transactions", strings.Replace(failing, "at_least_once", "exactly_once", 1), "keep", "fail", "keep %d", "error", true, dead},
		{"by a pipeline", failing + backAgain, "keep", "fail", "keep %d", "error", false, dead},
		{"late, with scope global", ordering, `{"k":"a","seq":0}`, `{"k":"a","seq":0}`, `{"k":"b","seq":%d}`, "late", true, pipeline.Counts{Late: rounds + 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, c.yaml, inAndOut(1))
			neighbour := func(i int) string { return fmt.Sprintf(c.neighbour, i) }
			want, next := c.ends, 1
			want.Out = 3
			if c.copier {
				p.copyBack(neighbour)
				want.Out, next = want.Out+rounds, next+rounds
			}
			want.In = want.Out + rounds + 1
			p.feed("in", c.before, neighbour(0), c.poison)
			p.until("guarded", func(s Status) bool { return s.Ledger.In >= want.In-1 && s.Ledger.Held == 0 })
			p.feed("in", neighbour(next))
			s := p.until("guarded", func(s Status) bool { return s.Ledger.In >= want.In && s.Ledger.Held == 0 })
			if diff := cmp.Diff(want, s.Ledger); diff != "" || s.Difference != 0 {
				t.Errorf("the ledger differs by %d from one that closes, and (-want +got) %s", s.Difference, diff)
			}
			if n := s.Outputs["dlq"]; n != rounds {
				t.Errorf("%d dead letters, want %d", n, rounds)
			}
			for i, got := range p.consume("guarded.dlq", rounds, func(r *kgo.Record) string { return hopsOf(r) + " " + string(r.Value) }) {
				if want := fmt.Sprintf("[%d] %s", i+1, c.poison); got != want {
					t.Errorf("dead letter %d is %s, want %s", i, got, want)
				}
			}
			for _, got := range p.consume("out", int(want.Out), hopsOf) {
				if got != "[]" {
					t.Errorf("a record that was no dead letter came out with the count %s", got)
				}
			}
			if !strings.Contains(p.scrape(), `streamproc_dead_letters_dropped_total{pipeline="guarded"} 1`+"\n") {
				t.Error("no record is counted as dropped")
			}
			p.log.mu.Lock()
			log := p.log.text.String()
			p.log.mu.Unlock()
			if !strings.Contains(log, "record was dropped") || !strings.Contains(log, "/0@") || !strings.Contains(log, "hops=16 reason="+c.reason) {
				t.Errorf("the log does not tell what was dropped:\n%s", log)
			}
		})
	}
}

// hopsOf lists how often a record says that it was a dead letter.
func hopsOf(r *kgo.Record) string {
	var all []string
	for _, h := range r.Headers {
		if h.Key == "sp-hops" {
			all = append(all, string(h.Value))
		}
	}
	return fmt.Sprint(all)
}
