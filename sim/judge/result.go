package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// RecoveryLimit is how long after the last fault everything has to be committed (C8).
const RecoveryLimit = 60 * time.Second

// Result is what one run came to.
type Result struct {
	Seed      uint64
	Scenario  string
	Mood      string
	Delivery  string
	Records   int
	Verdict   Verdict
	Faults    map[string]int
	Halts     []string      // why instances ended by themselves, which nothing in a run gives them reason to
	Repairs   int           // of state that the engine found to be lost
	Unfounded int           // those where nothing had been lost
	Recovery  time.Duration // from the end of the last fault to the last commit
	Trace     string        `json:",omitempty"` // the file with all that happened, if it failed
}

// Failed says that a promise was broken. What is only undelivered is reported apart.
func (r *Result) Failed() bool {
	return r.Verdict.Failed() || len(r.Halts) > 0 || r.Unfounded > 0 || r.Slow()
}

// Slow says that everything was delivered, but too late.
func (r *Result) Slow() bool { return r.Verdict.Undelivered == 0 && r.Recovery > RecoveryLimit }

// Describe lists counts by name.
func Describe(counts map[string]int) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d × %s", counts[name], name)
	}
	return b.String()
}
