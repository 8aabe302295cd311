package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/internal/python"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
)

// TestAScriptAndAModuleOfAnotherABIAreSteps runs a script as a filter and as a transform, and behind them a module made
// for Redpanda, which writes to an output by its name.
func TestAScriptAndAModuleOfAnotherABIAreSteps(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	module, err := filepath.Abs("../runtime/compat/redpanda/testdata/rust.wasm")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf(`version: 1
resources: { plugins: { shape: { js: %s } } }
pipelines:
  all:
    commit_interval: 50ms
    source: { topics: [in] }
    steps:
      - filter: { js: %s, config: { least: 2 } }
      - { name: shape, transform: { plugin: shape } }
      - { transform: { wasm: %s, outputs: [side] } }
    sinks: { main: { topic: big }, side: { topic: small } }
`, write("shape.ts", `export const flatMap = v => [JSON.rawJSON(v.text), 1]`),
		write("least.ts", "let least\nexport const init = c => { least = c.least }\nexport const filter = (v: { text: string }) => v.text.length >= least"), module))
	r.feed("in", `{"text":"1234"}`, `{"text":"x"}`, `{"n":1}`, `{"text":"\"ab\""}`)
	r.run()
	s := r.until("all", func(s Status) bool { return s.Ledger.In == 4 && s.Ledger.Held == 0 })
	if diff := cmp.Diff(pipeline.Counts{In: 4, Out: 2, Filtered: 1, DeadLettered: 1}, s.Ledger); diff != "" {
		t.Errorf("ledger: %s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"main": 4, "side": 0, "dlq": 1}, s.Outputs); diff != "" {
		t.Errorf("outputs: %s", diff)
	}
}

func TestAScriptInPythonRunsAPipeline(t *testing.T) {
	engine, err := python.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shape.py")
	text := "def init(config):\n  global least\n  least = config['least']\ndef filter(v): return len(v['text']) >= least\ndef flat_map(v): return [v['text'], 1]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf(`version: 1
pipelines:
  all:
    commit_interval: 50ms
    source: { topics: [in] }
    steps: [ { transform: { py: %s, engine: { wasm: %s, sha256: %s }, config: { least: 2 } } } ]
    sinks: { main: { topic: big } }
`, file, engine, python.SHA256))
	r.feed("in", `{"text":"1234"}`, `{"text":"x"}`, `{"n":1}`)
	r.run()
	s := r.until("all", func(s Status) bool { return s.Ledger.In == 3 && s.Ledger.Held == 0 })
	if diff := cmp.Diff(pipeline.Counts{In: 3, Out: 1, Filtered: 1, DeadLettered: 1}, s.Ledger); diff != "" {
		t.Errorf("ledger: %s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"main": 2, "dlq": 1}, s.Outputs); diff != "" {
		t.Errorf("outputs: %s", diff)
	}
}

func TestAScriptThatCannotBeUsedSaysWhere(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"broken.ts": "export const map = v =>\n", "good.py": "map = lambda v: v\n", "other.wasm": "\x00asm\x01\x00\x00\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for use, want := range map[string]string{
		"js: broken.ts": "broken.ts:2:1",
		"py: good.py, engine: { wasm: other.wasm, sha256: " + python.SHA256 + " }": "other.wasm: sha256 does not match",
	} {
		file := filepath.Join(dir, "p.yaml")
		yaml := fmt.Sprintf("version: 1\npipelines: { all: { source: { topics: [in] }, steps: [ { transform: { %s } } ], sinks: { out: { topic: out } } } }\n", use)
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(config.Options{Paths: []string{file}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", use, err, want)
		}
	}
}

func TestWhatAModuleSpeaksIsSeenFromItsImportsAndExports(t *testing.T) {
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: Dialects(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	for file, want := range map[string]string{
		"redpanda/testdata/rust": "redpanda", "fluvio/testdata/filter": "fluvio", "connect/testdata/malloc": "connect", "extism/testdata/rust": "extism",
		"conduit/testdata/told": "conduit", "command/testdata/lines": "command", "../../plugins/examples/minify/minify": "sp1 (sp_map)",
	} {
		wasm, err := os.ReadFile("../runtime/compat/" + file + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		p, err := rt.Load(t.Context(), runtime.Source{Name: "p", Bytes: wasm})
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if p.ABI() != want {
			t.Errorf("%s speaks %s, want %s", file, p.ABI(), want)
		}
	}
}
