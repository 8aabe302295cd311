package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/config"
)

// pipelinePlan is what would run.
type pipelinePlan struct {
	Name           string     `json:"name"`
	Topics         []string   `json:"topics"`
	Group          string     `json:"group"`
	Workers        int        `json:"workers"`
	CommitInterval string     `json:"commit_interval"`
	Steps          []stepPlan `json:"steps"`
	Sinks          []sinkPlan `json:"sinks"`
	DeadLetters    string     `json:"dead_letters"` // topic
	PluginBytes    int64      `json:"plugin_bytes"` // at most: workers × plugins × their limit
}

type stepPlan struct {
	Name string `json:"name"`
	Verb string `json:"verb"`
}

type sinkPlan struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
}

func plansOf(cfg *config.Config, only []string) []pipelinePlan {
	plans := []pipelinePlan{}
	for _, p := range cfg.Pipelines {
		if len(only) == 0 || slices.Contains(only, p.Name) || slices.Contains(only, p.Of) {
			plans = append(plans, planOf(p))
		}
	}
	return plans
}

func planOf(p *config.Pipeline) pipelinePlan {
	plan := pipelinePlan{Name: p.Name, Topics: p.Source.Topics, Group: p.Source.Group, Workers: p.Workers, CommitInterval: p.CommitInterval.String(),
		DeadLetters: p.DLQ.Topic, PluginBytes: int64(p.Workers) * pluginBytes(p.Steps)}
	for _, s := range p.Steps {
		plan.Steps = append(plan.Steps, stepPlan{s.Name, s.Verb()})
	}
	for _, s := range p.Sinks {
		plan.Sinks = append(plan.Sinks, sinkPlan{s.Name, s.Topic})
	}
	return plan
}

// pluginBytes is what the plugins of steps may use in one worker.
func pluginBytes(steps []config.Step) (n int64) {
	for _, s := range steps {
		use := s.Transform
		if s.Filter != nil {
			use = s.Filter.Plugin
		}
		if use != nil {
			n += use.Plugin.Limits.MemoryBytes
		}
		if s.Route != nil {
			for _, r := range s.Route.Rules {
				n += pluginBytes(r.Steps)
			}
		}
	}
	return n
}

func (p pipelinePlan) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %v, group %s, %s, a checkpoint every %s\n", p.Name, p.Topics, p.Group, plural(int64(p.Workers), "worker", "workers"), p.CommitInterval)
	for _, s := range p.Steps {
		fmt.Fprintf(w, "  %-10s %s\n", s.Verb, s.Name)
	}
	for _, s := range p.Sinks {
		fmt.Fprintf(w, "  %-10s %s → topic %s\n", "sink", s.Name, s.Topic)
	}
	fmt.Fprintf(w, "  %-10s %s\n", "dlq", "topic "+p.DeadLetters)
	if p.PluginBytes > 0 {
		fmt.Fprintf(w, "  %-10s at most %s for plugins\n", "memory", humanize.IBytes(uint64(p.PluginBytes)))
	}
}
