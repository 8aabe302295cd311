// Package bench measures the real binary beside the least franz-go program that copies a topic, in one run, interleaved, each
// a process of its own. What arrived is counted at the sink, by content.
package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options of a run. The zero value measures every scenario on kfake.
type Options struct {
	Scenarios []string // of Scenarios; none means all
	Broker    string   // "", "kfake", or HOST:PORT of a Kafka on which topics may be made and deleted
	Redis     string   // HOST:PORT; "" starts a redis-server for the scenarios that want one
	Records   int64    // fed in each scenario; 0 means 500,000
	Reps      int      // runs of each program that count, after one that does not; 0 means 3
	Binary    string   // the streamproc to measure; "" builds ./cmd/streamproc, which needs its source and Go
	Plugin    string   // the plugin of q1; "" means DefaultPlugin
	Filter    string   // the plugin of filter, which keeps every bid; "" means an expression
	Self      []string // how to start Role as a process; nil means this executable with the argument "role"
	Dir       string   // for configurations and logs; "" means a temporary folder, removed at the end
	Talk      io.Writer
}

// DefaultPlugin is the plugin of q1, from the root of the source.
const DefaultPlugin = "plugins/examples/bid-price/bid_price.wasm"

const (
	defaultRecords = 500_000
	defaultReps    = 3
	maxRecords     = 20_000_000 // kfake holds the topics in memory: some 10 GB
	maxReps        = 50
	partitions     = 4
	commitInterval = time.Second
)

// Scenarios are the names of what can be measured.
var Scenarios = []string{"pass", "filter", "q1", "q1-once", "dedup-q1"}

func (o *Options) complete() error {
	if len(o.Scenarios) == 0 {
		o.Scenarios = Scenarios
	}
	for _, s := range o.Scenarios {
		if !slices.Contains(Scenarios, s) {
			return fmt.Errorf("unknown scenario %q (use %s)", s, strings.Join(Scenarios, ", "))
		}
	}
	if o.Records == 0 {
		o.Records = defaultRecords
	}
	if o.Reps == 0 {
		o.Reps = defaultReps
	}
	if o.Records < 1 || o.Records > maxRecords {
		return fmt.Errorf("%d records: the bench takes 1 to %d", o.Records, maxRecords)
	}
	if o.Reps < 1 || o.Reps > maxReps {
		return fmt.Errorf("%d repetitions: the bench takes 1 to %d", o.Reps, maxReps)
	}
	if o.Plugin == "" {
		o.Plugin = DefaultPlugin
	}
	if o.Talk == nil {
		o.Talk = io.Discard
	}
	return nil
}

func filters(scenario string) bool   { return scenario == "filter" }
func discounts(scenario string) bool { return scenario != "pass" && !filters(scenario) }
func dedups(scenario string) bool    { return scenario == "dedup-q1" }
func once(scenario string) bool      { return scenario == "q1-once" }
