// Package daemon loads, builds, runs and stops pipelines. build.go is the one place where the parts meet.
package daemon

import (
	"maps"
	"slices"
	"sync"

	"github.com/streamproc/streamproc/pipeline"
)

// Status is what one pipeline is doing.
type Status struct {
	Name    string           `json:"name"`
	State   pipeline.State   `json:"state"`
	Why     string           `json:"why,omitempty"` // a sentence, where the state needs one
	Ready   bool             `json:"ready"`
	Ledger  pipeline.Counts  `json:"ledger"`
	Outputs map[string]int64 `json:"outputs"` // records written, by sink
}

// board keeps the states of the workers of one pipeline. Safe for concurrent use.
type board struct {
	mu      sync.Mutex
	workers map[int]pipeline.State
	why     map[int]string
}

func (b *board) set(worker int, s pipeline.State, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.workers == nil {
		b.workers, b.why = map[int]pipeline.State{}, map[int]string{}
	}
	b.workers[worker], b.why[worker] = s, why
}

// severity orders states: that of a pipeline is the gravest of its workers'.
var severity = []pipeline.State{pipeline.Running, pipeline.Starting, pipeline.Stopped, pipeline.Rebuilding, pipeline.Stalled, pipeline.Halted}

func (b *board) state() (pipeline.State, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gravest, why := -1, ""
	for _, w := range slices.Sorted(maps.Keys(b.workers)) {
		if s := slices.Index(severity, b.workers[w]); s > gravest {
			gravest, why = s, b.why[w]
		}
	}
	if gravest < 0 {
		return pipeline.Starting, ""
	}
	return severity[gravest], why
}
