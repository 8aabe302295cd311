package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func noEnvironment(string) (string, bool) { return "", false }

func TestTheTopLevelPipelineLoadsWithNoEnvironment(t *testing.T) {
	cfg, err := Load(Options{Paths: []string{"../pipelines.yaml"}, LookupEnv: noEnvironment})
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Pipelines[0]
	if p.Name != "quakes" || len(p.Steps) != 5 || len(p.Sinks) != 2 || p.DLQ.Topic != "quakes.dlq" {
		t.Fatalf("got %+v", p)
	}
	if _, err := os.Stat(p.Steps[1].Transform.Plugin.Wasm); err != nil {
		t.Fatalf("the plugin is not in the tree: %v", err)
	}
	if p.Steps[3].Reorder.MaxWait != 10*time.Minute || p.Steps[4].Route.Otherwise != p.Sinks[1] {
		t.Fatalf("got %+v, %+v", p.Steps[3].Reorder, p.Steps[4].Route)
	}
}

// loadFiles writes files into one folder and loads it.
func loadFiles(t *testing.T, lookup func(string) (string, bool), files map[string]string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(Options{Paths: []string{dir}, LookupEnv: lookup})
}

const onePipeline = "pipelines: { p: { source: { topics: [a] }, sinks: { out: { topic: b } } } }\n"

func TestANameInTwoFilesIsRefused(t *testing.T) {
	for _, kind := range []string{"kafka: { x: { brokers: [h:1] } }", "redis: { x: { addrs: [h:1] } }", "plugins: { x: { wasm: x.wasm } }"} {
		one := "version: 1\nresources: { " + kind + " }\n"
		_, err := loadFiles(t, noEnvironment, map[string]string{"1.yaml": one, "2.yaml": one + onePipeline})
		var errs Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), "x is there twice") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestDefaultsHoldWhereverTheyStand(t *testing.T) {
	cfg, err := loadFiles(t, noEnvironment, map[string]string{
		"1.yaml": "version: 1\nresources: { plugins: { x: { wasm: x.wasm } } }\n" + onePipeline,
		"2.yaml": "version: 1\ndefaults: { plugin_limits: { memory: 1MiB } }\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Plugins["x"].Limits.MemoryBytes; got != 1<<20 {
		t.Errorf("memory is %d", got)
	}
}

func TestAliasedValuesAreInterpolatedOnce(t *testing.T) {
	cfg, err := loadFiles(t, noEnvironment, map[string]string{"1.yaml": `version: 1
pipelines:
  p: &p { source: { topics: ["$${A}", "${X:-x}-${Y:-y}"] }, sinks: { out: { topic: b } } }
  q: *p
`})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cfg.Pipelines {
		if got := strings.Join(p.Source.Topics, " "); got != "${A} x-y" {
			t.Errorf("%s reads %q", p.Name, got)
		}
	}
}

func TestAStepOutOfPlaceIsShownWhereItStands(t *testing.T) {
	_, err := loadFiles(t, noEnvironment, map[string]string{"1.yaml": `version: 1
pipelines:
  p:
    source: { topics: [a] }
    steps:
      - reorder: { time: timestamp }
      - dedup: { key: $.id }
    sinks: { out: { topic: b } }
`})
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != 7 || errs[0].Path != "pipelines.p.steps[1]" {
		t.Errorf("got %v", err)
	}
}
