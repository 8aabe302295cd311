package metrics

import (
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the reference")

const reference = "../docs/reference/metrics.md"

func TestTheReferenceIsWhatTheCodeSays(t *testing.T) {
	if *update {
		if err := os.WriteFile(reference, []byte(Reference()), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(got)); diff != "" {
		t.Errorf("run go test ./metrics -update:\n%s", diff)
	}
}

// everything reports to each method once.
func everything(r *Registry) {
	l := r.Pipeline("p", nil).LookBack("l")
	l.Held(50)
	l.Held(-10)
	l.Again(3)
	l.Lack()
	r.Reloaded(nil)
	p := r.Pipeline("p", []string{"out"})
	p.Checkpoint(time.Second, errors.New("refused"))
	p.EndToEnd(time.Minute)
	p.Output("out", 10)
	p.Dead("s", "trap")
	p.Kafka("Fetch", time.Millisecond, errors.New("reset"))
	p.KafkaAway()
	p.Throttled(time.Second)
	p.Step("s")
	p.Work("s", 5, 3, map[string]int{"filtered": 2}, time.Millisecond)
	p.Dedup("d")
	p.Claims("d", 4, 1, 0, 2)
	p.Repaired("d", "rebuild")
	p.Reorder("r")
	p.Waited("r", time.Second)
	p.Gap("r", "forced")
	g := p.Plugin("s", "plug", "abc")
	g.Instances(2)
	g.Memory(1 << 20)
	g.Trap("trap")
	g.Count("seen", 2)
	g.Count("seen", -1)
	p.Dropped()
	r.Store("redis").Request("append", time.Millisecond, "timeout")
}

func scrape(r *Registry) string {
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func account() []Account {
	return []Account{{Pipeline: "p", State: "running", Insecure: 2, Read: 9, Held: 2, Replayed: 1, Settled: map[string]int64{"out": 7}, Outputs: map[string]int64{"out": 7},
		Partitions: []Partition{{Topic: "in", ID: "0", LagRecords: 4, Lag: 1500 * time.Millisecond}}, Oldest: map[string]time.Duration{"r": 3 * time.Second}}}
}

func TestWhatIsReportedIsServed(t *testing.T) {
	r := New(account)
	everything(r)
	got := scrape(r)
	for _, want := range []string{
		`records_read_total{pipeline="p"} 9`, `records_settled_total{pipeline="p",verdict="out"} 7`, `records_held{pipeline="p"} 2`,
		`ledger_difference{pipeline="p"} 0`, `insecure_servers{pipeline="p"} 2`, `output_records_total{pipeline="p",sink="out"} 7`, `output_bytes_total{pipeline="p",sink="out"} 10`,
		`pipeline_state{pipeline="p",state="running"} 1`, `pipeline_state{pipeline="p",state="halted"} 0`,
		`consumer_lag_records{partition="0",pipeline="p",topic="in"} 4`, `consumer_lag_seconds{partition="0",pipeline="p",topic="in"} 1.5`,
		`checkpoints_total{pipeline="p",result="failed"} 1`, `checkpoints_total{pipeline="p",result="committed"} 0`,
		`step_records_in_total{pipeline="p",step="s"} 5`, `step_records_settled_total{pipeline="p",step="s",verdict="filtered"} 2`,
		`step_duration_seconds_count{pipeline="p",step="s"} 1`, `dead_letters_total{pipeline="p",reason="trap",step="s"} 1`, `dead_letters_dropped_total{pipeline="p"} 1`,
		`dedup_claims_total{pipeline="p",result="duplicate",step="d"} 1`, `reorder_gaps_total{action="forced",pipeline="p",step="r"} 1`,
		`reorder_oldest_held_seconds{pipeline="p",step="r"} 3`, `plugin_instances{pipeline="p",plugin="plug",step="s"} 2`,
		`plugin_counts_total{metric="seen",pipeline="p",plugin="plug",step="s"} 2`,
		`plugin_memory_bytes{pipeline="p",plugin="plug",step="s"} 1.048576e+06`, `plugin_info{pipeline="p",plugin="plug",sha256="abc",step="s"} 1`,
		`look_back_held_bytes{pipeline="p",step="l"} 40`, `look_back_again_total{pipeline="p",step="l"} 3`, `look_back_lacking_total{pipeline="p",step="l"} 1`,
		`redis_errors_total{kind="timeout",store="redis"} 1`, `kafka_errors_total{kind="connect",pipeline="p"} 1`,
	} {
		if !strings.Contains(got, prefix+want+"\n") {
			t.Errorf("%s is missing", prefix+want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestEveryNameInTheReferenceIsServed(t *testing.T) {
	r := New(account)
	everything(r)
	got := scrape(r)
	for _, name := range Names() {
		if !strings.Contains(got, "# TYPE "+name+" ") {
			t.Errorf("%s is in the reference and not in a scrape", name)
		}
	}
	for line := range strings.Lines(got) {
		if name, ok := strings.CutPrefix(line, "# TYPE "+prefix); ok && !strings.Contains(Reference(), "`"+prefix+strings.Fields(name)[0]+"`") {
			t.Errorf("%s is served and not in the reference", name)
		}
	}
}
