package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written tells the parts of a pipeline in words.
func written(c *Config) (lines []string) {
	for _, p := range c.Pipelines {
		line := fmt.Sprintf("%s: %v like %v as %s, exactly once %v:", p.Name, p.Source.Topics, p.Source.Like, p.Source.Group, p.ExactlyOnce)
		for _, s := range p.Steps {
			line += " " + s.Name
			if s.Rekey != nil && s.Rekey.Key != "" {
				line += "(" + s.Rekey.Key + ")"
			}
		}
		for _, s := range p.Sinks {
			line += " →" + s.Topic
		}
		lines = append(lines, line+" default "+p.Default().Topic)
	}
	return lines
}

func TestAStepOfScopeGlobalMakesAPartOfItsOwn(t *testing.T) {
	for steps, want := range map[string][]string{
		`{ filter: "true" }, { dedup: { key: $.id, mode: side:aside, scope: global } }`: {
			"p.rekey: [in] like [] as g, exactly once true: filter-1 rekey($.id) →p.rekey default p.rekey",
			"p: [p.rekey] like [in] as g.rekey, exactly once false: restore-key dedup-2 →out →aside default out"},
		`{ dedup: { key: $.id, mode: side:aside } }, { reorder: { key: $.k, sequence: $.n, scope: global } }`: {
			"p.rekey: [in] like [] as g, exactly once true: dedup-1 rekey($.k) →p.rekey →aside default p.rekey",
			"p: [p.rekey] like [in] as g.rekey, exactly once false: restore-key reorder-2 →out default out"},
		`{ dedup: { key: $.k, mode: side:aside, scope: global } }, { reorder: { key: $.k, sequence: $.n, scope: global } }`: {
			"p.rekey: [in] like [] as g, exactly once true: rekey($.k) →p.rekey default p.rekey",
			"p: [p.rekey] like [in] as g.rekey, exactly once false: restore-key dedup-1 reorder-2 →out →aside default out"},
		`{ dedup: { key: $.k, mode: side:aside, scope: global } }, { transform: { wasm: x.wasm } }, { reorder: { key: $.k, sequence: $.n, scope: global } }`: {
			"p.rekey: [in] like [] as g, exactly once true: rekey($.k) →p.rekey default p.rekey",
			"p.rekey-2: [p.rekey] like [in] as g.rekey, exactly once true: restore-key dedup-1 transform-2 rekey($.k) →p.rekey-2 →aside default p.rekey-2",
			"p: [p.rekey-2] like [in] as g.rekey.rekey-2, exactly once false: restore-key reorder-3 →out default out"},
	} {
		c, err := load(t, "version: 1\npipelines:\n  p:\n    source: { topics: [in], group: g }\n    steps: [ "+steps+" ]\n    sinks: { out: { topic: out }, aside: { topic: aside } }\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, written(c)); diff != "" {
			t.Errorf("%s: %s", steps, diff)
		}
	}
}

func TestPartsOfAPipelineMustBeWrittenInOneTransaction(t *testing.T) {
	const head = "version: 1\nresources: { kafka: { a: { brokers: [\"127.0.0.1:1\"] }, b: { brokers: [\"127.0.0.1:2\"] } } }\npipelines:\n"
	const p = "  p:\n    source: { kafka: a, topics: [in] }\n    steps: [ { dedup: { key: $.id, scope: global } } ]\n    sinks: { out: { kafka: b, topic: out } }\n    dlq: { kafka: KAFKA, topic: dead }\n"
	if _, err := load(t, head+strings.ReplaceAll(p, "KAFKA", "a"), nil); err != nil {
		t.Errorf("a sink behind the step may be anywhere: %v", err)
	}
	if _, err := load(t, head+strings.ReplaceAll(p, "KAFKA", "b"), nil); err == nil || !strings.Contains(err.Error(), "together with dlq") {
		t.Errorf("dead letters elsewhere: %v", err)
	}
	twice := "  p.rekey:\n    source: { kafka: a, topics: [other] }\n    sinks: { out: { kafka: a, topic: out } }\n"
	if _, err := load(t, head+strings.ReplaceAll(p, "KAFKA", "a")+twice, nil); err == nil || !strings.Contains(err.Error(), "p.rekey") {
		t.Errorf("a name that a part has: %v", err)
	}
}
