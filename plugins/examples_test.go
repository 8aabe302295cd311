package plugins_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/python"
	"github.com/streamproc/streamproc/workshop"
)

// run hands the input of an example to a module, and returns what comes out as lines.
func run(t *testing.T, module, dir string) string {
	t.Helper()
	config, _ := os.ReadFile(filepath.Join(dir, "config.json")) // not every example takes one
	return runWith(t, module, config, file(t, filepath.Join(dir, "in.jsonl")))
}

func runWith(t *testing.T, module string, config json.RawMessage, in []byte) string {
	t.Helper()
	o := workshop.Options{Config: config, Dialects: workshop.Scripts()}
	if filepath.Ext(module) == ".py" {
		var err error
		if o.Engine, err = python.Engine(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.CacheDir = python.Cache(o.Engine)
	}
	p, err := workshop.Open(t.Context(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	records, err := workshop.ReadRecords(strings.NewReader(string(in)))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := p.Run(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(l.String() + "\n")
	}
	return out.String()
}

// TestExamplesGiveTheWantedOutput runs each committed module.
func TestExamplesGiveTheWantedOutput(t *testing.T) {
	modules, err := filepath.Glob("examples/*/*.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules found: %v", err)
	}
	for _, m := range modules {
		t.Run(filepath.Base(m), func(t *testing.T) {
			dir := filepath.Dir(m)
			if got, want := run(t, m, dir), string(file(t, filepath.Join(dir, "want.jsonl"))); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestQuakeAlertTakesAConfiguration(t *testing.T) {
	const module = "examples/quake-alert/quake_alert.wasm"
	feature := func(mag string) string {
		return `{"id":"q","properties":{"mag":` + mag + `,"time":1,"updated":2}}` + "\n"
	}
	if got := runWith(t, module, []byte(`{"least":5}`), []byte(feature("4.9")+feature("5.1"))); strings.Count(got, "\n") != 1 || !strings.Contains(got, "5.1") {
		t.Errorf("least: 5 lets through\n%s", got)
	}
	p, err := workshop.Open(t.Context(), module, workshop.Options{Config: []byte(`{"lest":5}`)})
	if err == nil {
		defer p.Close(context.Background())
		_, err = p.Run(t.Context(), nil)
	}
	if err == nil || !strings.Contains(err.Error(), "lest") {
		t.Errorf("an unknown setting is refused with %v", err)
	}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
