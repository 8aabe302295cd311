package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/metrics"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

// TestMain wants every goroutine to end. What leaves a group whose Kafka has gone for good tries to for a session.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(patience); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const patience = 30 * time.Second

// faulty is a plugin that does what the first byte of a value says: t traps, d drops, f fails, else it keeps.
const faulty = "../runtime/testdata/faulty.wasm"

// topics are those of the configurations below, of one partition each.
var topics = func() map[string]int {
	m := map[string]int{}
	for _, name := range strings.Fields("in big small all.dlq times out times.dlq copies together spread.dlq stops.in stops.out stops.dlq goes.in goes.out goes-on.dlq") {
		m[name] = 1
	}
	m["spread"] = 3
	return m
}()

// rig is a Kafka and a Redis in this process, with a daemon on them.
type rig struct {
	*testing.T
	stack *devstack.Stack
	d     *Daemon
	stop  context.CancelFunc
	ended chan error
}

func newRig(t *testing.T, yaml string) *rig {
	t.Helper()
	stack, err := devstack.Start(context.Background(), devstack.Options{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	r := &rig{T: t, stack: stack, ended: make(chan error, 1)}
	r.d = build(t, yaml, map[string]string{"KAFKA_BROKERS": stack.Brokers()[0], "REDIS_ADDR": stack.RedisAddr()})
	return r
}

// build makes the daemon of a configuration, which is closed when the test ends.
func build(t *testing.T, yaml string, env map[string]string) *Daemon {
	t.Helper()
	module, err := filepath.Abs(faulty)
	if err != nil {
		t.Fatal(err)
	}
	env["FAULTY"] = module
	file := filepath.Join(t.TempDir(), "pipelines.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Paths: []string{file}, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return d
}

// run starts the daemon; the test's end drains it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r.stop = cancel
	go func() {
		defer close(done)
		r.ended <- r.d.Run(ctx)
	}()
	r.Cleanup(func() { cancel(); <-done })
}

func (r *rig) feed(topic string, values ...string) {
	r.Helper()
	records := iter.Seq[devstack.Record](func(yield func(devstack.Record) bool) {
		for _, v := range values {
			if !yield(devstack.Record{Value: []byte(v)}) {
				return
			}
		}
	})
	if _, err := devstack.Feed(r.Context(), r.stack.Brokers(), []string{topic}, records, 0); err != nil {
		r.Fatal(err)
	}
}

// until waits for a condition of a pipeline's status.
func (r *rig) until(name string, is func(Status) bool) Status {
	r.Helper()
	limit := time.After(patience)
	for {
		s := r.status(name)
		if is(s) {
			return s
		}
		select {
		case <-limit:
			r.Fatalf("it did not come to it: %+v", s)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (r *rig) status(name string) Status {
	for _, s := range r.d.Status() {
		if s.Name == name {
			return s
		}
	}
	r.Fatalf("there is no pipeline %s", name)
	return Status{}
}

const everyStep = `version: 1
resources: { plugins: { guard: { wasm: "${FAULTY}", metrics: [seen] } } }
pipelines:
  all:
    commit_interval: 50ms
    source: { topics: [in] }
    steps:
      - { name: guard, transform: { plugin: guard } }
      - { name: wanted, filter: value.keep }
      - { name: once, dedup: { key: $.id, window: 24h } }
      - { name: in-order, reorder: { key: $.k, sequence: $.seq, first: 0, max_wait: 1s } }
      - name: by-size
        route:
          - { when: value.big, to: big, steps: [ { name: shrink, filter: value.seq < 100, on_error: drop } ] }
          - otherwise: small
    sinks: { big: { topic: big }, small: { topic: small, key: $.id } }
  times:
    commit_interval: 50ms
    source: { topics: [times] }
    steps:
      - { name: calm, filter: { wasm: "${FAULTY}", look_back: 10 } }
      - { name: by-time, reorder: { key: $.k, time: $.at, max_wait: 1s, idle_timeout: 1s, late: drop } }
    sinks: { out: { topic: out } }
`

func TestEveryKindOfStepIsBuiltAndTellsWhatItDid(t *testing.T) {
	r := newRig(t, everyStep)
	r.feed("in",
		`{"id":"a","k":"x","seq":0,"keep":true,"big":false}`,
		`{"id":"a","k":"x","seq":0,"keep":true,"big":false}`, // a copy
		`{"id":"b","k":"x","seq":1,"keep":false}`,            // filtered: a gap for those behind
		`{"id":"c","k":"x","seq":2,"keep":true,"big":true}`,  // waits for it
		`{"id":"d","k":"x","seq":0,"keep":true,"big":true}`,  // late
		`trap`)
	r.feed("times", `{"k":"x","at":2000}`, `{"k":"x","at":1500}`, `drop`, `{"k":"x","at":4000}`, `{"k":"x","at":2500}`)
	r.run()
	s := r.until("all", func(s Status) bool { return s.Ledger.In == 6 && s.Ledger.Held == 0 })
	if diff := cmp.Diff(pipeline.Counts{In: 6, Out: 2, Filtered: 1, Duplicates: 1, Late: 1, DeadLettered: 1}, s.Ledger); diff != "" {
		t.Errorf("ledger of all: %s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"big": 1, "small": 1, "dlq": 2}, s.Outputs); diff != "" {
		t.Errorf("outputs of all: %s", diff)
	}
	got := map[string]Step{}
	for _, st := range s.Steps {
		if st.Seconds <= 0 && st.In > 0 {
			t.Errorf("step %s took no time", st.Name)
		}
		st.Seconds, st.oldest = 0, 0
		got[st.Name] = st
	}
	want := map[string]Step{
		"guard":    {Name: "guard", Verb: "transform", In: 6, Out: 5, DeadLettered: 1},
		"wanted":   {Name: "wanted", Verb: "filter", In: 5, Out: 4, Filtered: 1},
		"once":     {Name: "once", Verb: "dedup", In: 4, Out: 3, Duplicates: 1},
		"in-order": {Name: "in-order", Verb: "reorder", In: 3, Out: 2, Late: 1},
		"by-size":  {Name: "by-size", Verb: "route", In: 2, Out: 2},
		"shrink":   {Name: "shrink", Verb: "filter", Branch: true, In: 1, Out: 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Step{})); diff != "" {
		t.Errorf("steps: %s", diff)
	}
	if p := s.Partitions[0]; !p.Owned || p.Topic != "in" || p.Floor != 6 || p.End != 6 || p.LagRecords != 0 || p.Ledger != s.Ledger {
		t.Errorf("partition %+v", p)
	}
	for what, want := range map[string]string{"kafka": "ok", "redis": "ok", "plugins": "ok", "lag": "0 records, 0s"} {
		if s.Checks[what] != want {
			t.Errorf("%s is %q, want %q", what, s.Checks[what], want)
		}
	}
	s = r.until("times", func(s Status) bool { return s.Ledger.In == 5 && s.Ledger.Held == 0 })
	if diff := cmp.Diff(pipeline.Counts{In: 5, Out: 3, Filtered: 1, Late: 1}, s.Ledger); diff != "" {
		t.Errorf("ledger of times: %s", diff)
	}
	r.everyMetricIsServed()
	if r.stop(); <-r.ended != nil {
		t.Error("a drain ends with an error")
	}
	if body := r.scrape(); !strings.Contains(body, `streamproc_look_back_held_bytes{pipeline="times",step="calm"} 0`) {
		t.Error("what a step has kept is told of after its end")
	}
	if s := r.status("all"); s.State != pipeline.Stopped || s.Ready {
		t.Errorf("after the drain it is %s, ready %v", s.State, s.Ready)
	}
}

func (r *rig) scrape() string {
	w := httptest.NewRecorder()
	r.d.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// everyMetricIsServed compares a scrape of what really ran with the reference.
func (r *rig) everyMetricIsServed() {
	r.Helper()
	body := r.scrape()
	for _, name := range metrics.Names() {
		if !strings.Contains(body, "\n"+name) {
			r.Errorf("%s is in the reference and not in a scrape", name)
		}
	}
	if strings.Contains(body, `streamproc_look_back_held_bytes{pipeline="times",step="calm"} 0`) {
		r.Error("a step looks back, and nothing is told of what it keeps")
	}
	if strings.Contains(body, `streamproc_plugin_traps_total{pipeline="all",plugin="guard",reason="trap",step="guard"} 0`) {
		r.Error("the plugin has trapped, and no trap is counted") // how often depends on how the batch is cut
	}
	for _, want := range []string{
		`streamproc_plugin_instances{pipeline="all",plugin="guard",step="guard"} 1`,
		`streamproc_dedup_claims_total{pipeline="all",result="duplicate",step="once"} 1`,
		`streamproc_reorder_gaps_total{action="skip",pipeline="all",step="in-order"} 1`,
		`streamproc_reorder_wait_seconds_count{pipeline="all",step="in-order"} 1`,
		`streamproc_records_settled_total{pipeline="all",verdict="late"} 1`,
		`streamproc_dead_letters_total{pipeline="all",reason="late",step="in-order"} 1`,
		`streamproc_end_to_end_seconds_count{pipeline="all"} `,
		`streamproc_consumer_lag_records{partition="0",pipeline="all",topic="in"} 0`,
		`streamproc_insecure_servers{pipeline="all"} 0`,
		`streamproc_look_back_lacking_total{pipeline="times",step="calm"} 0`,
	} {
		if !strings.Contains(body, want) {
			r.Errorf("%s is missing", want)
		}
	}
	if r.Failed() {
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "streamproc_") && !strings.Contains(line, "_bucket{") {
				r.Log(strings.TrimSpace(line))
			}
		}
	}
}

const two = `version: 1
pipelines:
  stops:
    commit_interval: 50ms
    source: { topics: [stops.in] }
    steps: [ { name: picky, filter: { wasm: "${FAULTY}" }, on_error: stop } ]
    sinks: { out: { topic: stops.out } }
  goes-on:
    commit_interval: 50ms
    source: { topics: [goes.in] }
    sinks: { out: { topic: goes.out } }
`

func TestOnePipelineHaltsAndTheOtherGoesOn(t *testing.T) {
	r := newRig(t, two)
	r.feed("stops.in", "keep", "fail", "keep")
	r.feed("goes.in", "a")
	r.run()
	s := r.until("stops", func(s Status) bool { return s.State == pipeline.Halted })
	if s.Ready || !strings.Contains(s.Why, "stops.in/0@1") || !strings.Contains(s.Why, "picky") {
		t.Errorf("it halts ready %v, because %q; want the step and the record", s.Ready, s.Why)
	}
	r.until("goes-on", func(s Status) bool { return s.Ledger.Out == 1 })
	r.feed("goes.in", "b")
	s = r.until("goes-on", func(s Status) bool { return s.Ledger.Out == 2 })
	if s.State != pipeline.Running || !s.Ready {
		t.Errorf("the other is %s, ready %v", s.State, s.Ready)
	}
	r.stop()
	if err := <-r.ended; !errors.Is(err, stream.ErrHalt) || !strings.Contains(err.Error(), "pipeline stops") || strings.Contains(err.Error(), "goes-on") {
		t.Errorf("Run returned %v", err)
	}
}

func TestAPipelineThatFailsByItsPolicyEndsAll(t *testing.T) {
	yaml := strings.Replace(two, `[ { name: picky, filter: { wasm: "${FAULTY}" }, on_error: stop } ]`, `[ { dedup: { key: key, window: 1h, on_unavailable: fail } } ]`, 1)
	r := newRig(t, two)
	r.d = build(t, yaml, map[string]string{"KAFKA_BROKERS": r.stack.Brokers()[0], "REDIS_ADDR": "127.0.0.1:1"})
	r.feed("stops.in", "a")
	r.feed("goes.in", "a")
	r.run()
	select {
	case err := <-r.ended:
		if !errors.Is(err, stream.ErrFailed) {
			t.Errorf("Run returned %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the daemon goes on")
	}
}

// mute is a Kafka that has no topics, and never a coordinator.
func mute(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.ControlKey(int16(kmsg.FindCoordinator), func(q kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := q.(*kmsg.FindCoordinatorRequest)
		res := asked.ResponseKind().(*kmsg.FindCoordinatorResponse)
		res.ErrorCode = kerr.CoordinatorNotAvailable.Code
		for _, key := range asked.CoordinatorKeys {
			res.Coordinators = append(res.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: -1, ErrorCode: kerr.CoordinatorNotAvailable.Code})
		}
		return res, nil, true
	})
	return cluster.ListenAddrs()[0]
}

func TestAPipelineThatCannotStartSaysWhy(t *testing.T) {
	d := build(t, two, map[string]string{"KAFKA_BROKERS": mute(t), "REDIS_ADDR": "127.0.0.1:1"})
	r := d.pipelines[0]
	r.look(t.Context())
	s := d.Status()[0]
	if s.State != pipeline.Starting || s.Ready {
		t.Errorf("it is %s, ready %v", s.State, s.Ready)
	}
	for _, want := range []string{"topic stops.in does not exist", "group stops has no coordinator", "offsets.topic.replication.factor"} {
		if !strings.Contains(s.Why, want) {
			t.Errorf("why is %q, want %q", s.Why, want)
		}
	}
	if d.Status()[1].Why != "" {
		t.Errorf("the other pipeline was not looked into, and says %q", d.Status()[1].Why)
	}
}

func TestARunningPipelineThatHearsNothingFromKafkaIsNotReady(t *testing.T) {
	d := build(t, two, map[string]string{"KAFKA_BROKERS": "127.0.0.1:1", "REDIS_ADDR": "127.0.0.1:1"})
	r, now := d.pipelines[0], time.Now()
	r.state(0, pipeline.Running, "")
	r.kafka.answered(nil)
	if s := r.status(now); !s.Ready || s.Checks["kafka"] != "ok" {
		t.Errorf("ready %v, kafka %q", s.Ready, s.Checks["kafka"])
	}
	r.kafka.answered(errors.New("connection refused"))
	if s := r.status(now.Add(silenceLimit / 2)); !s.Ready {
		t.Errorf("one broker that is away for a moment: %q", s.Why)
	}
	if s := r.status(now.Add(2 * silenceLimit)); s.Ready || !strings.Contains(s.Why, "connection refused") {
		t.Errorf("ready %v, why %q", s.Ready, s.Why)
	}
}

func TestADependencyThatIsAwayIsNamed(t *testing.T) {
	r := newRig(t, two)
	r.feed("goes.in", "a")
	r.run()
	r.until("goes-on", func(s Status) bool { return s.Ledger.Out == 1 && s.Checks["kafka"] == "ok" })
	r.stack.Close()
	s := r.until("goes-on", func(s Status) bool { return strings.HasPrefix(s.Checks["kafka"], "no answer for ") })
	if !s.Ready {
		t.Errorf("it is not ready after a moment without Kafka: %s", s.Why)
	}
}

func TestWhereAPartitionStandsIsForgottenWhenItIsNoLongerOurs(t *testing.T) {
	b, p := newBoard(nil), stream.Partition{Topic: "in"}
	b.stands(0, pipeline.Standing{Partition: p, Floor: 1})
	b.left(p)
	b.stands(1, pipeline.Standing{Partition: p, Floor: 2})
	b.set(0, pipeline.Starting, "")
	if got := b.standingsNow(); len(got) != 1 || got[p].Floor != 2 {
		t.Errorf("it stands at %v", got)
	}
	b.set(1, pipeline.Starting, "")
	if got := b.standingsNow(); len(got) != 0 {
		t.Errorf("a worker that starts again still has %v", got)
	}
}

func TestOnlyThePipelinesNamedAreBuilt(t *testing.T) {
	r := newRig(t, two)
	cfg := &config.Config{}
	for _, p := range r.d.pipelines {
		cfg.Pipelines = append(cfg.Pipelines, p.cfg)
	}
	d, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.DiscardHandler), Only: []string{"goes-on"}})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(func(yield func(string) bool) {
		for _, s := range d.Status() {
			yield(s.Name)
		}
	})
	if !slices.Equal(names, []string{"goes-on"}) {
		t.Errorf("built %v", names)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := New(t.Context(), cfg, Options{Only: []string{"nobody"}}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a name that nothing has: %v", err)
	}
}
