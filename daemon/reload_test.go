package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// place is a folder with a configuration and a plugin that are changed while a daemon runs on them.
type place struct {
	*rig
	dir string
	env map[string]string
	log book
}

// book is a log that is read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines counts those that match, and begins a new page.
func (b *book) lines(like *regexp.Regexp) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return len(like.FindAll(b.text.Bytes(), -1))
}

func newPlace(t *testing.T, yaml string, topics map[string]int) *place {
	t.Helper()
	stack, err := devstack.Start(context.Background(), devstack.Options{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	p := &place{rig: &rig{T: t, stack: stack, ended: make(chan error, 1)}, dir: t.TempDir()}
	p.env = map[string]string{"KAFKA_BROKERS": stack.Brokers()[0], "REDIS_ADDR": stack.RedisAddr(), "PLUGIN": filepath.Join(p.dir, "plugin.wasm")}
	p.plugin(0)
	p.write(yaml)
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if p.d, err = New(t.Context(), cfg, Options{Logger: slog.New(slog.NewTextHandler(&p.log, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.d.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	p.run()
	return p
}

// plugin writes a version of the plugin: others differ in the reason that they give for what they fail.
func (p *place) plugin(version int) {
	p.Helper()
	wasm, err := os.ReadFile(faulty)
	if err == nil {
		wasm = bytes.Replace(wasm, []byte("because"), fmt.Appendf(nil, "b%06d", version), 1)
		err = os.WriteFile(p.env["PLUGIN"], wasm, 0o600)
	}
	if err != nil {
		p.Fatal(err)
	}
}

func (p *place) write(yaml string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(yaml), 0o600); err != nil {
		p.Fatal(err)
	}
}

func (p *place) load() (*config.Config, error) {
	return config.Load(config.Options{Paths: []string{p.dir}, LookupEnv: func(k string) (string, bool) { v, ok := p.env[k]; return v, ok }})
}

// reload wants each pipeline to become what is said, without an error.
func (p *place) reload(o ReloadOptions, want ...What) []Change {
	p.Helper()
	changes, err := p.d.Reload(p.Context(), p.load, o)
	if err != nil {
		p.Fatalf("the reload was refused: %v", err)
	}
	p.became(changes, want...)
	return changes
}

func (p *place) became(changes []Change, want ...What) {
	p.Helper()
	var got []What
	for _, c := range changes {
		got = append(got, c.What)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.Fatalf("the pipelines became (-want +got):\n%s\n%+v", diff, changes)
	}
}

// refuses wants a reload to be refused, with all of these words, and the metric to say so.
func (p *place) refuses(o ReloadOptions, words ...string) {
	p.Helper()
	_, err := p.d.Reload(p.Context(), p.load, o)
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			p.Errorf("the reload ended with %v, want %q", err, w)
		}
	}
	if !strings.Contains(p.scrape(), "streamproc_config_last_reload_successful 0\n") {
		p.Error("the metric does not say that the reload was refused")
	}
}

// read returns the values of a topic, once there are so many.
func (p *place) read(topic string, n int) (values []string) {
	p.Helper()
	return p.consume(topic, n, func(r *kgo.Record) string { return string(r.Value) })
}

func (p *place) consume(topic string, n int, what func(*kgo.Record) string) (list []string) {
	p.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.stack.Brokers()...), kgo.ConsumeTopics(topic))
	if err != nil {
		p.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	for len(list) < n && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { list = append(list, what(r)) })
	}
	if len(list) < n {
		p.Fatalf("%s has %d records, %d are wanted", topic, len(list), n)
	}
	return list
}

const guarded = `version: 1
pipelines:
  guarded:
    workers: 2
    commit_interval: 50ms
    source: { topics: [in] }
    steps:
      - { name: guard, transform: { wasm: "${PLUGIN}" } }
      - { name: once, dedup: { key: $.id } }
    sinks: { out: { topic: out } }
`

func inAndOut(partitions int) map[string]int {
	return map[string]int{"in": partitions, "out": 1, "guarded.dlq": 1, "second.dlq": 1, "other": 1}
}

// rss is what the process holds in memory.
func rss(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestAThousandReloadsUnderLoadLoseAndLeakNothing(t *testing.T) {
	const reloads, settled, growth = 1000, 200, 24 << 20
	before := goleak.IgnoreCurrent()
	t.Run("under load", func(t *testing.T) {
		p := newPlace(t, guarded, inAndOut(4))
		turns, fed := p.feeding(8)
		var goroutines int
		var memory int64
		for i := 1; i <= reloads; i++ {
			p.plugin(i)
			turns <- struct{}{}
			p.reload(ReloadOptions{}, Swapped)
			if i == settled {
				runtime.GC()
				goroutines, memory = runtime.NumGoroutine(), rss(t)
			}
		}
		runtime.GC()
		if n := rss(t) - memory; n > growth {
			t.Errorf("%d reloads later the process holds %d bytes more", reloads-settled, n)
		}
		if n := runtime.NumGoroutine(); n > goroutines+5 { // a poll has some of its own
			t.Errorf("%d goroutines have become %d", goroutines, n)
		}
		t.Logf("%d goroutines have become %d, %d KiB of memory %d", goroutines, runtime.NumGoroutine(), memory>>10, rss(t)>>10)
		close(turns)
		n := <-fed
		s := p.until("guarded", func(s Status) bool { return s.Ledger.In >= int64(n) })
		if diff := cmp.Diff(pipeline.Counts{In: int64(n), Out: int64(n)}, s.Ledger); diff != "" || n < reloads {
			t.Errorf("%d records were fed; the ledger: %s", n, diff)
		}
		seen := map[string]int{}
		for _, v := range p.read("out", n) {
			seen[v]++
		}
		for i := range n {
			if v := recordOf(i); seen[v] != 1 {
				t.Errorf("record %s came out %d times", v, seen[v])
			}
		}
		if body := p.scrape(); strings.Count(body, "\nstreamproc_plugin_info{") != 1 || !strings.Contains(body, `streamproc_plugin_instances{pipeline="guarded",plugin="plugin",step="guard"} 2`+"\n") {
			t.Error("the metrics tell of modules or instances that are gone")
		}
		if p.stop(); <-p.ended != nil {
			t.Error("the drain ends with an error")
		}
	})
	goleak.VerifyNone(t, before)
}

func recordOf(i int) string { return fmt.Sprintf(`{"id":"%d"}`, i) }

// feeding writes records beside what the test does, so many for each turn that it gives, to all partitions; fed gets how
// many there were.
func (p *place) feeding(each int) (turns chan struct{}, fed chan int) {
	p.Helper()
	turns, fed = make(chan struct{}, 1), make(chan int, 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.stack.Brokers()...), kgo.DefaultProduceTopic("in"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		p.Fatal(err)
	}
	var feeding sync.WaitGroup
	feeding.Go(func() {
		n := 0
		defer func() { fed <- n }()
		defer cl.Close()
		for range turns {
			for range each {
				if err := cl.ProduceSync(context.Background(), &kgo.Record{Value: []byte(recordOf(n))}).FirstErr(); err != nil {
					p.Errorf("feeding: %v", err)
				}
				n++
			}
		}
	})
	p.Cleanup(feeding.Wait)
	return turns, fed
}

func TestAReloadDisturbsNoMoreThanItsChangesAllow(t *testing.T) {
	second := `
  second:
    commit_interval: 50ms
    source: { topics: [other] }
    steps: [ { name: keep, filter: 'true' } ]
    sinks: { out: { topic: out } }
`
	p := newPlace(t, guarded, inAndOut(1))
	states := func() (generation *builder, r *running) { r = p.d.running()[0]; return r.built.Load(), r }
	built, started := states()
	p.feed("in", `{"id":"a"}`, `{"id":"a"}`, "fail")
	p.until("guarded", func(s Status) bool { return s.Ledger.In == 3 })

	p.reload(ReloadOptions{}, Unchanged)
	p.write(guarded + second)
	p.reload(ReloadOptions{}, Unchanged, Started)
	if b, r := states(); b != built || r != started {
		t.Error("a pipeline that has not changed was touched")
	}

	p.plugin(1)
	c := p.reload(ReloadOptions{}, Swapped, Unchanged)[0]
	if !strings.HasPrefix(c.Why, "guard ") || !strings.Contains(c.Why, " → ") || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "guard changed before once") {
		t.Errorf("the swap is told as %+v", c)
	}
	if b, r := states(); b == built || r != started {
		t.Error("the pipeline was started again, or not touched")
	}
	p.feed("in", "fail", `{"id":"a"}`)
	p.until("guarded", func(s Status) bool { return s.Ledger.In == 5 && s.Ledger.Duplicates == 2 })

	p.write(guarded + strings.Replace(second, "filter: 'true'", "filter: 'false'", 1))
	p.reload(ReloadOptions{}, Unchanged, Swapped)
	p.feed("other", "x")
	p.until("second", func(s Status) bool { return s.Ledger.Filtered == 1 })

	p.write(strings.Replace(guarded, "50ms", "60ms", 1))
	c = p.reload(ReloadOptions{}, Restarted, Drained)[0]
	if c.Why != "commit_interval changed" {
		t.Errorf("the restart is told as %+v", c)
	}
	p.feed("in", `{"id":"a"}`, `{"id":"b"}`)
	s := p.until("guarded", func(s Status) bool { return s.Ledger.In == 7 })
	if diff := cmp.Diff(pipeline.Counts{In: 7, Out: 2, Duplicates: 3, DeadLettered: 2}, s.Ledger); diff != "" {
		t.Errorf("the account over all: %s", diff)
	}
	if len(p.d.Status()) != 1 {
		t.Error("the drained pipeline is still told of")
	}
	if !strings.Contains(p.scrape(), "streamproc_config_last_reload_successful 1\n") {
		t.Error("the metric does not say that the reload was taken up")
	}
}

func TestAReloadThatIsRefusedChangesNothing(t *testing.T) {
	p := newPlace(t, guarded, inAndOut(1))
	built := p.d.running()[0].built.Load()
	p.write(guarded + "  worng: {}\n")
	p.refuses(ReloadOptions{}, "worng")
	p.write(guarded)
	if err := os.WriteFile(p.env["PLUGIN"], []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.refuses(ReloadOptions{}, "pipelines.guarded.steps[0].transform.wasm: loading plugin plugin: ")
	p.plugin(0)
	p.write(strings.Replace(guarded, "key: $.id", "key: $.other", 1) + strings.Replace(guarded[strings.Index(guarded, "  guarded:"):], "guarded:", "second:", 1))
	p.refuses(ReloadOptions{}, "step once has another key, scope or store", "reload --yes")
	p.write(strings.Replace(guarded, "topic: out", "topic: elsewhere", 1))
	p.refuses(ReloadOptions{}, "pipeline guarded", "topic elsewhere does not exist: create it")
	p.write(strings.Replace(guarded, "[in]", "[in, missing]", 1))
	p.refuses(ReloadOptions{}, "pipeline guarded", "topic missing does not exist: create it")
	if p.d.running()[0].built.Load() != built || len(p.d.running()) != 1 {
		t.Error("something has changed")
	}
	p.feed("in", `{"id":"a"}`)
	p.until("guarded", func(s Status) bool { return s.Ledger.Out == 1 })
	p.write(strings.Replace(guarded, "key: $.id", "key: $.other", 1) + strings.Replace(guarded[strings.Index(guarded, "  guarded:"):], "guarded:", "second:", 1))
	p.reload(ReloadOptions{Yes: true}, Restarted, Started)
}

func TestARollbackBringsThePluginBackThatRan(t *testing.T) {
	p := newPlace(t, guarded, inAndOut(1))
	if _, err := p.d.Rollback(t.Context(), ReloadOptions{}); !errors.Is(err, errNothing) {
		t.Errorf("a rollback before any reload: %v", err)
	}
	digest := func() string { return p.d.running()[0].built.Load().digests()["guard"] }
	first := digest()
	p.plugin(1)
	p.reload(ReloadOptions{}, Swapped)
	second := digest()
	p.reload(ReloadOptions{}, Unchanged) // changes nothing, nor what a rollback goes back to
	for _, want := range []string{first, second, first} {
		changes, err := p.d.Rollback(t.Context(), ReloadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if p.became(changes, Swapped); digest() != want || first == second {
			t.Errorf("it runs %s, want %s", digest(), want)
		}
	}
	p.feed("in", `{"id":"a"}`, "fail")
	p.until("guarded", func(s Status) bool { return s.Ledger.Out == 1 && s.Ledger.DeadLettered == 1 })
	p.write(strings.Replace(guarded, "50ms", "60ms", 1)) // with the plugin of the second version
	p.reload(ReloadOptions{}, Restarted)
	changes, err := p.d.Rollback(t.Context(), ReloadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.became(changes, Restarted)
	p.feed("in", `{"id":"a"}`, `{"id":"b"}`)
	p.until("guarded", func(s Status) bool { return s.Ledger.Out == 2 && s.Ledger.Duplicates == 1 })
}

func TestAPipelineThatHasHaltedIsStartedAgainByAReloadThatChangesIt(t *testing.T) {
	yaml := strings.Replace(guarded, `transform: { wasm: "${PLUGIN}" }`, `transform: { wasm: "${PLUGIN}" }, on_error: stop`, 1) +
		"  second: { source: { topics: [other] }, sinks: { out: { topic: out } } }\n"
	p := newPlace(t, yaml, inAndOut(1))
	p.feed("in", "fail")
	p.until("guarded", func(s Status) bool { return s.State == pipeline.Halted })
	<-p.d.running()[0].done
	if c := p.reload(ReloadOptions{}, Unchanged, Unchanged)[0]; len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "has ended") {
		t.Errorf("it is told as %+v", c)
	}
	p.write(strings.Replace(yaml, "on_error: stop", "on_error: drop", 1))
	p.reload(ReloadOptions{}, Restarted, Unchanged)
	p.until("guarded", func(s Status) bool { return s.Ledger.Filtered == 1 })
	if p.stop(); <-p.ended != nil {
		t.Error("the end that was made good is still told")
	}
	if _, err := p.d.Reload(t.Context(), p.load, ReloadOptions{}); !errors.Is(err, errNotRunning) {
		t.Errorf("a reload after the end: %v", err)
	}
}

func TestChangesOfFilesAreNoticedOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	write := func(text string) { // as editors do: beside, and renamed into place
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	ctx, cancel := context.WithCancel(t.Context())
	asked, changed, done := make(chan struct{}, 100), make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, slog.New(slog.DiscardHandler), func() []string { asked <- struct{}{}; return []string{file} }, func() { changed <- struct{}{} })
	}()
	<-asked
	<-asked // once for what there is, once for what to watch
	for _, text := range []string{"two", "three"} {
		write(text)
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatal("a change was not noticed")
		}
	}
	write("three") // is none
	cancel()
	<-done
	if len(changed) > 0 {
		t.Error("the same contents count as a change")
	}
}

func TestANewPluginRunsInTheShadowOfTheOldOneFirst(t *testing.T) {
	yaml := strings.Replace(guarded, `{ wasm: "${PLUGIN}" }`, `{ wasm: "${PLUGIN}", shadow: 50% }`, 1)
	p := newPlace(t, yaml, inAndOut(4))
	turns, fed := p.feeding(50)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer close(turns)
		for {
			select {
			case turns <- struct{}{}:
			case <-stop:
				return
			}
		}
	}()
	was := p.d.running()[0].built.Load()
	p.plugin(1)
	c := p.reload(ReloadOptions{}, Swapped)[0]
	if note := c.Notes[len(c.Notes)-1]; !strings.Contains(note, "shadow of guard: 1") || !strings.Contains(note, "records compared, 0 differ") {
		t.Errorf("the notes are %q", c.Notes)
	}
	wasm, err := os.ReadFile(p.env["PLUGIN"])
	if err == nil { // it drops what begins with a brace, no longer what begins with d
		err = os.WriteFile(p.env["PLUGIN"], bytes.Replace(wasm, []byte{0x41, 0xe4, 0x00}, []byte{0x41, 0xfb, 0x00}, 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	now := p.d.running()[0].built.Load()
	p.refuses(ReloadOptions{}, "shadow of guard: 1", " differ, first in/", "more than 1 %", "reload --now")
	if p.d.running()[0].built.Load() != now || now == was {
		t.Error("what was refused runs, or what was not does not")
	}
	close(stop)
	<-done
	n := int64(<-fed)
	s := p.until("guarded", func(s Status) bool { return s.Ledger.In == n })
	if diff := cmp.Diff(pipeline.Counts{In: n, Out: n}, s.Ledger); diff != "" {
		t.Errorf("the shadow had an effect: %s", diff)
	}
	p.reload(ReloadOptions{Now: true}, Swapped)
	p.feed("in", `{"id":"last"}`)
	p.until("guarded", func(s Status) bool { return s.Ledger.Filtered == 1 })
}
