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
	if len(cfg.Plugins) == 0 || len(cfg.Pipelines) != 1 || cfg.Pipelines[0].DLQ.Topic != "quakes.dlq" {
		t.Fatalf("got %+v", cfg)
	}
	for name, p := range cfg.Plugins {
		if _, err := os.Stat(p.Wasm); err != nil {
			t.Errorf("the module of %s is not in the tree: %v", name, err)
		}
	}
	var verbs []string
	for _, s := range cfg.Pipelines[0].Steps {
		verbs = append(verbs, s.Verb())
	}
	if got := strings.Join(verbs, " "); got != "dedup filter transform reorder route" {
		t.Errorf("the steps are %s", got)
	}
}

func TestTheFileOfTheAcceptanceKitLoads(t *testing.T) {
	env := map[string]string{"IN": "i", "OUT": "o", "DLQ": "d", "GROUP": "g", "ADMIN_PORT": "7001"}
	cfg, err := loadFiles(t, func(n string) (string, bool) { v, ok := env[n]; return v, ok }, map[string]string{"a.yaml": `version: 1
resources:
  kafka: { main: { brokers: ["h:1,h:2"] } }
  redis: { state: { addrs: ["h:3"] } }
pipelines:
  accept:
    delivery: at_least_once
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", start: earliest, session_timeout: 6s }
    steps:
      - filter: 'value.acct.startsWith("a")'
      - dedup: { key: $.id, window: 24h }
      - reorder: { key: $.acct, sequence: $.seq, first: 0, max_wait: 5m }
    sinks: { out: { topic: "${OUT}", key: $.acct } }
    dlq: { topic: "${DLQ}" }
admin: { listen: "127.0.0.1:${ADMIN_PORT}" }
`})
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Pipelines[0]
	if o := p.Steps[2].Reorder; o.FirstAny || o.First != 0 || o.MaxWait != 5*time.Minute || p.Sinks[0].Key != "$.acct" ||
		len(cfg.Kafka["main"].Brokers) != 2 || cfg.Admin.Listen != "127.0.0.1:7001" || p.DLQ.Topic != "d" {
		t.Errorf("got %+v, %+v", p, o)
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
		var errs Problems
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
  p: &p { description: "$${A} ${X:-x}-${Y:-y}", source: { topics: [a] }, sinks: { out: { topic: b } } }
  q: *p
`})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cfg.Pipelines {
		if got := p.Description; got != "${A} x-y" {
			t.Errorf("%s is %q", p.Name, got)
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
	var errs Problems
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != 7 || errs[0].Path != "pipelines.p.steps[1]" {
		t.Errorf("got %v", err)
	}
}
