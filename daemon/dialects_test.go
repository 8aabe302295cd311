package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/pipeline"
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

func TestAScriptThatCannotBeUsedSaysWhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broken.ts")
	if err := os.WriteFile(file, []byte("export const map = v =>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("version: 1\npipelines: { all: { source: { topics: [in] }, steps: [ { transform: { js: %s } } ], sinks: { out: { topic: out } } } }\n", file)
	name := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(name, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Paths: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "broken.ts:1:24") && !strings.Contains(err.Error(), "broken.ts:2:1") {
		t.Errorf("error is %v", err)
	}
}
