package daemon

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kgo"
)

// causes are why the records of a dead-letter topic are there.
func (p *place) causes(topic string, n int) []string {
	p.Helper()
	return p.consume(topic, n, func(r *kgo.Record) string {
		for _, h := range r.Headers {
			if h.Key == "sp-error" {
				return string(h.Value)
			}
		}
		return ""
	})
}

func TestLimitsAreTakenUpByAReload(t *testing.T) {
	limited := func(fuel int) string {
		return strings.Replace(guarded, `wasm: "${PLUGIN}"`, "plugin: guard", 1) + fmt.Sprintf("resources: { plugins: { guard: { wasm: \"${PLUGIN}\", limits: { fuel: %d } } } }\n", fuel)
	}
	p := newPlace(t, limited(5_000_000), inAndOut(1))
	r := p.d.running()[0]
	for i, fuel := range []int{5_000_000, 20_000, 7_000_000} {
		if i > 0 {
			p.write(limited(fuel))
			if c := p.reload(ReloadOptions{Now: true}, Swapped)[0]; c.Why != "settings of guard" || p.d.running()[0] != r {
				t.Errorf("the swap is told as %+v", c)
			}
		}
		p.feed("in", "loop", fmt.Sprintf(`{"id":"%d"}`, i))
		p.until("guarded", func(s Status) bool { return s.Ledger.DeadLettered == int64(i+1) && s.Ledger.Out == int64(i+1) })
		if why := p.causes("guarded.dlq", i+1)[i]; !strings.Contains(why, fmt.Sprintf("limit fuel of %d units", fuel)) {
			t.Errorf("with %d units the cause is %q", fuel, why)
		}
	}
}

// measuring is a pipeline whose plugin goes to the limit that its record names.
const measuring = `version: 1
resources: { plugins: { measure: { wasm: "FILE", limits: { LIMITS } } } }
pipelines:
  guarded:
    commit_interval: 50ms
    source: { topics: [in] }
    steps: [ { name: measure, transform: { plugin: measure } } ]
    sinks: { out: { topic: out } }
`

// TestEachLimitIsTakenUpByAReload changes one limit after the other while the pipeline runs, up and down, and has the plugin go to
// all of them each time.
func TestEachLimitIsTakenUpByAReload(t *testing.T) {
	file := writeMeasure(t, 0)
	line := regexp.MustCompile(`msg=. .*plugin=measure`)
	var p *place
	for i, c := range []struct{ limits, pages, output, depth, fuel, lines string }{
		{limits: "memory: 1MiB, output: 4KiB, depth: 100, fuel: 1M, log_lines: 5"},
		{limits: "memory: 2MiB, output: 4KiB, depth: 100, fuel: 1M, log_lines: 5", pages: "32"},
		{limits: "memory: 2MiB, output: 8KiB, depth: 100, fuel: 1M, log_lines: 5", pages: "32", output: "passed 5000"},
		{limits: "memory: 2MiB, output: 8KiB, depth: 200, fuel: 1M, log_lines: 5", pages: "32", output: "passed 5000", depth: "200"},
		{limits: "memory: 2MiB, output: 8KiB, depth: 200, fuel: 2M, log_lines: 5", pages: "32", output: "passed 5000", depth: "200", fuel: "2000000"},
		{limits: "memory: 2MiB, output: 8KiB, depth: 200, fuel: 2M, log_lines: 12", pages: "32", output: "passed 5000", depth: "200", fuel: "2000000", lines: "12"},
		{limits: "memory: 1MiB, output: 4KiB, depth: 100, fuel: 1M, log_lines: 5"},
	} {
		yaml := strings.NewReplacer("LIMITS", c.limits, "FILE", file).Replace(measuring)
		if i == 0 {
			p = newPlace(t, yaml, inAndOut(1))
		} else {
			p.write(yaml)
			p.reload(ReloadOptions{Now: true}, Swapped)
		}
		p.log.lines(line)
		want := map[string]string{
			"m": "passed " + cmp.Or(c.pages, "16"),
			"o": cmp.Or(c.output, "an output of 5000 bytes is over the limit output of 4096"),
			"d": "limit depth of " + cmp.Or(c.depth, "100"),
			"f": "limit fuel of " + cmp.Or(c.fuel, "1000000") + " units",
			"l": "passed 1",
		}
		for record, what := range want {
			if got := p.outcome(record); !strings.Contains(got, what) {
				t.Errorf("with %s the record %s came to %q, want %q", c.limits, record, got, what)
			}
		}
		if got, want := fmt.Sprint(p.log.lines(line)), cmp.Or(c.lines, "5"); got != want {
			t.Errorf("with %s it logged %s lines, want %s", c.limits, got, want)
		}
	}
}

func writeMeasure(t *testing.T, nested int) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "measure.wasm")
	if err := os.WriteFile(file, hostile.Measure(nested), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTheLimitOfTrapsIsTakenUpByAReload has a plugin held to be broken as soon as the limit says so, and let go on by another.
func TestTheLimitOfTrapsIsTakenUpByAReload(t *testing.T) {
	with := func(traps int) string {
		return strings.NewReplacer("LIMITS", fmt.Sprint("traps: ", traps), "FILE", writeMeasure(t, 0)).Replace(measuring)
	}
	p := newPlace(t, with(100), inAndOut(1))
	p.feed("in", "t", "t", "t")
	p.until("guarded", func(s Status) bool { return s.Ledger.DeadLettered == 3 && s.State == pipeline.Running })
	p.write(with(2))
	p.reload(ReloadOptions{Now: true}, Swapped)
	p.feed("in", "t", "t")
	p.until("guarded", func(s Status) bool { return s.Ledger.DeadLettered == 5 })
	p.feed("in", "x")
	s := p.until("guarded", func(s Status) bool { return s.State == pipeline.Stalled })
	if want := "2 records in a row failed, which is the limit traps"; !strings.Contains(fmt.Sprintf("%+v", s), want) {
		t.Errorf("it says %+v, want %q", s, want)
	}
	p.write(with(100))
	p.reload(ReloadOptions{Now: true}, Swapped)
	p.until("guarded", func(s Status) bool { return s.Ledger.Out == 1 && s.State == pipeline.Running })
}

// TestTheCapsOnStructureAreTakenUpByAReload has a module that is over the default ones come in, and leaves it out again.
func TestTheCapsOnStructureAreTakenUpByAReload(t *testing.T) {
	large := writeMeasure(t, 2_500)
	wasm, err := os.ReadFile(large)
	if err != nil {
		t.Fatal(err)
	}
	with := func(limits string) string {
		return strings.NewReplacer("LIMITS", limits, "FILE", large+fmt.Sprintf("\", sha256: \"%x", sha256.Sum256(wasm))).Replace(measuring)
	}
	small := strings.NewReplacer("LIMITS", "", "FILE", writeMeasure(t, 0)).Replace(measuring)
	p := newPlace(t, small, inAndOut(1))
	p.write(with(""))
	p.refuses(ReloadOptions{Now: true}, "2001 nested blocks are over the limit of 2000", "{ structure: large } lets it pass")
	if got := p.outcome("x"); got != "passed 1" {
		t.Errorf("after a reload that was refused a record came to %q", got)
	}
	p.write(with("structure: large"))
	p.reload(ReloadOptions{Now: true}, Swapped)
	if got := p.outcome("o"); got != "passed 5000" {
		t.Errorf("in the large structure a record came to %q", got)
	}
	p.write(with(""))
	p.refuses(ReloadOptions{Now: true}, "2001 nested blocks are over the limit of 2000")
}

// TestLimitsOfAScriptAreTakenUpByAReload are those that a script meets before its engine traps.
func TestLimitsOfAScriptAreTakenUpByAReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "many.js")
	text := `export function flatMap(v) { if (v.n) return new Array(v.n).fill(1); for (let all = [];;) all.push(new Uint8Array(1 << 20)) }`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var p *place
	for i, limits := range []string{"outputs: 10, memory: 8MiB", "outputs: 20, memory: 8MiB", "outputs: 20, memory: 9MiB"} {
		yaml := strings.NewReplacer("LIMITS", limits, `wasm: "FILE"`, fmt.Sprintf("js: %q", file)).Replace(measuring)
		if i == 0 {
			p = newPlace(t, yaml, inAndOut(1))
		} else {
			p.write(yaml)
			p.reload(ReloadOptions{Now: true}, Swapped)
		}
		outputs, memory := []string{"10", "20", "20"}[i], []string{"8388608", "8388608", "9437184"}[i]
		if got, want := p.outcome(`{"n":21}`), "more outputs of one record than the limit outputs of "+outputs; got != want {
			t.Errorf("with %s 21 outputs came to %q, want %q", limits, got, want)
		}
		if got, want := p.outcome(`{}`), "the limit memory is "+memory+" bytes"; !strings.Contains(got, want) {
			t.Errorf("with %s a full memory came to %q, want %q", limits, got, want)
		}
	}
}

// outcome feeds a record, and tells how long what came out of it is, or why nothing did.
func (p *place) outcome(record string) string {
	p.Helper()
	was := p.status("guarded").Ledger
	p.feed("in", record)
	now := p.until("guarded", func(s Status) bool {
		return s.Ledger.In > was.In && s.Ledger.Held == 0 && s.Ledger != (pipeline.Counts{})
	}).Ledger
	if now.Out > was.Out {
		all := p.read("out", int(now.Out))
		return fmt.Sprintf("passed %d", len(all[now.Out-1]))
	}
	return p.causes("guarded.dlq", int(now.DeadLettered))[now.DeadLettered-1]
}

// TestAReloadWhileAPluginLoops has records on their way that end by fuel, each after all that a call may have.
func TestAReloadWhileAPluginLoops(t *testing.T) {
	with := func(fuel string) string {
		return strings.NewReplacer("LIMITS", "traps: 1000, fuel: "+fuel, "FILE", writeMeasure(t, 0)).Replace(measuring)
	}
	p := newPlace(t, with("100M"), inAndOut(1))
	const n = 20
	for range n {
		p.feed("in", "f", "x")
	}
	p.write(with("50M"))
	p.reload(ReloadOptions{Now: true}, Swapped)
	s := p.until("guarded", func(s Status) bool { return s.Ledger.In == 2*n && s.Ledger.Held == 0 })
	if s.Ledger.Out != n || s.Ledger.DeadLettered != n {
		t.Errorf("ledger %+v, want %d out and as many dead letters", s.Ledger, n)
	}
}

// TestAPluginThatDoesNotStartIsRefusedByAReload keeps the last good one at work.
func TestAPluginThatDoesNotStartIsRefusedByAReload(t *testing.T) {
	p := newPlace(t, strings.NewReplacer("LIMITS", "", "FILE", writeMeasure(t, 0)).Replace(measuring), inAndOut(1))
	for _, a := range hostile.Starts() {
		if err := os.WriteFile(p.env["PLUGIN"], a.Module, 0o600); err != nil {
			t.Fatal(err)
		}
		p.write(strings.NewReplacer("LIMITS", "", "FILE", p.env["PLUGIN"], "transform:", "filter:").Replace(measuring))
		p.refuses(ReloadOptions{Now: true}, "steps[0].filter: starting plugin measure: ", a.Want)
		if got := p.outcome("x"); got != "passed 1" {
			t.Errorf("%s: a record came to %q", a.Name, got)
		}
	}
}

// TestAPluginThatLeaksIsStartedAnewAndTold has records each of which takes memory for good, until that would have been full some times.
func TestAPluginThatLeaksIsStartedAnewAndTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leaks.wasm")
	if err := os.WriteFile(file, hostile.Leaks(1, false), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, strings.NewReplacer("LIMITS", "memory: 4MiB", "FILE", file, "transform:", "filter:").Replace(measuring), inAndOut(1))
	const batches = 10
	for n := range batches {
		p.feed("in", "\x14") // 20 of 64 pages
		p.until("guarded", func(s Status) bool { return s.Ledger.Out == int64(n+1) })
	}
	body := p.scrape()
	for _, want := range []string{
		`streamproc_plugin_recycled_total{pipeline="guarded",plugin="measure",step="measure"} 3`,
		`streamproc_plugin_traps_total{pipeline="guarded",plugin="measure",reason="trap",step="measure"} 0`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("%s is not among\n%s", want, body)
		}
	}
	if n := p.log.lines(regexp.MustCompile(`grew to near its limit.* step=measure plugin=measure memory=3997696 limit=4194304 records=3\n`)); n != 3 {
		t.Errorf("it is told %d times", n)
	}
}
