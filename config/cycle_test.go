package config

import (
	"fmt"
	"strings"
	"testing"
)

// among writes a configuration of pipelines given as NAME READS WRITES, and what else is to stand in each.
func among(pipelines ...string) string {
	text := "version: 1\npipelines:\n"
	for _, p := range pipelines {
		w := strings.SplitN(p, " ", 4)
		text += fmt.Sprintf("  %s:\n    source: { topics: [%s] }\n    sinks: { out: { topic: %s } }\n", w[0], w[1], w[2])
		if len(w) > 3 {
			text += "    " + w[3] + "\n"
		}
	}
	return text
}

func TestRecordsThatGoRoundAreToldAtTheFirstPipeline(t *testing.T) {
	const filter = `steps: [ { filter: "has(value.x)" } ]`
	for name, c := range map[string]struct{ text, failure, warning string }{
		"a line":           {among("a one two", "b two three", "c three four"), "", ""},
		"two read one":     {among("a one two", "b one two"), "", ""},
		"no step":          {among("a one two", "b two one"), `:5:14: pipelines.a.sinks.out: every record goes round for ever: a writes two, which b reads; b writes one, which a reads, and no step lets any go (write to another topic)`, ""},
		"a filter":         {among("a one two "+filter, "b two one"), "", `:5:14: warning: pipelines.a.sinks.out: records may go round for ever: a writes two, which b reads; b writes one, which a reads (write to another topic, or see to it that a step lets go what has been round)`},
		"behind the first": {among("a one two "+filter, "b two three "+filter, "c three four", "d four three"), `:13:14: pipelines.c.sinks.out: every record goes round for ever: c writes four, which d reads; d writes three, which c reads`, ""},
		"three":            {among("a one two "+filter, "b two three", "c three one"), "", `a writes two, which b reads; b writes three, which c reads; c writes one, which a reads`},
		"the dead letters": {among("a one two", "again a.dlq one"), "", `:3:3: warning: pipelines.a: dead letters may go round until they are dropped: a writes a.dlq, which again reads; again writes one, which a reads`},
	} {
		cfg, err := load(t, c.text, nil)
		switch {
		case c.failure != "":
			if err == nil || !strings.Contains(err.Error(), c.failure) {
				t.Errorf("%s: %v, want %s", name, err, c.failure)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.warning == "" && len(cfg.Warnings) > 0 || c.warning != "" && (len(cfg.Warnings) != 1 || cfg.Warnings[0].Code != cycle || !strings.Contains(cfg.Warnings.Error(), c.warning)):
			t.Errorf("%s: %v, want %q", name, cfg.Warnings, c.warning)
		}
	}
}

// TestARoundIsOneInOneCluster has two names, for one cluster or for two.
func TestARoundIsOneInOneCluster(t *testing.T) {
	const yaml = `version: 1
resources:
  kafka: { near: { brokers: ["localhost:9092"] }, far: { brokers: ["127.0.0.1:9092", BROKER] } }
pipelines:
  a:
    source: { kafka: near, topics: [one] }
    sinks: { out: { kafka: near, topic: two } }
  b:
    source: { kafka: far, topics: [two] }
    sinks: { out: { kafka: far, topic: one } }
`
	if cfg, err := load(t, strings.Replace(yaml, "BROKER", `"127.0.0.1:9093"`, 1), nil); err != nil || len(cfg.Warnings) > 0 {
		t.Errorf("two clusters: %v", err)
	}
	if _, err := load(t, strings.Replace(yaml, "BROKER", `"localhost:9092"`, 1), nil); err == nil || !strings.Contains(err.Error(), "every record goes round for ever") {
		t.Errorf("one cluster by two names: %v", err)
	}
	const own = "version: 1\nresources:\n  kafka: { x: { brokers: [\"localhost:9092\"] }, y: { brokers: [\"localhost:9092\"] } }\n" +
		"pipelines:\n  a:\n    source: { kafka: x, topics: [one] }\n    sinks: { out: { kafka: y, topic: one } }\n"
	if _, err := load(t, own, nil); err == nil || !strings.Contains(err.Error(), "the pipeline would read its own output from topic one") {
		t.Errorf("its own output by another name: %v", err)
	}
}
