package runtime

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime/meter"
)

// Limits bound what a plugin may use. A zero field takes the default.
type Limits struct {
	MemoryBytes int64 // linear memory of one instance; default 32 MiB, at most 512 MiB; rounded up to 64 KiB
	OutputBytes int64 // value, key and headers that one input may become; default 4 MiB
	Outputs     int   // outputs of one input; default 1,000
	Fuel        int64 // units for one record, about one for each simple instruction; default 10 M, at most 200 M, for a script 300 M and 600 M
	Depth       int   // calls within calls, where they may recurse; default 1,000, at most 10,000
	LogLines    int   // lines a second of one instance; default 100
	Traps       int   // records in a row that trap before the plugin is held to be broken; default 100
	Large       bool  // caps on the module's structure for the few that need it; only together with a digest
}

const (
	pageBytes          = 64 << 10
	defaultMemory      = 32 << 20
	maxMemory          = 512 << 20
	defaultOutputBytes = 4 << 20
	defaultOutputs     = 1000
	defaultFuel        = 10_000_000
	maxFuel            = 200_000_000
	defaultDepth       = 1000
	maxDepth           = 10_000
	defaultLogLines    = 100
	defaultTraps       = 100

	// callFuel bounds one call, whatever the number of its records: while a guest runs, Go's collector waits for it.
	// A single record may have more, if its limit says so.
	callFuel = 50_000_000
	// startFuel is for each phase of the start, and for the end, unless a dialect has more.
	startFuel = 500_000_000

	// batchLimitBytes bounds one call's input, and so the arena in the guest. A larger batch is cut into several calls;
	// a single larger record is offered alone.
	batchLimitBytes = 1 << 20
	// hostCallsPerRecord bounds calls of sp1 functions; wasiCallsFloor is added for WASI, which language runtimes call
	// for their own ends, such as Go's collector for the clock.
	hostCallsPerRecord = 256
	wasiCallsFloor     = 16 << 10
	randomPerCall      = 1 << 20
	logLineBytes       = 4 << 10
	logCallBytes       = 64 << 10
	reasonBytes        = 1 << 10 // text of sp1.error for one record
	startErrorBytes    = 4 << 10
	// batchOutputBytes is what the outputs of a batch may take, with outputPerInput for each byte of its inputs: all of them are in
	// memory until they are written. Beyond it the record that became most fails.
	batchOutputBytes = 256 << 20
	outputPerInput   = 16

	callNameBytes = 4 << 20 // names of headers of all outputs of one call
)

// OutputHeaders is how many headers one output may have.
const OutputHeaders = 64

var errLarge = errors.New("the large structure is for modules whose sha256 is given: name it, or leave structure out")

// or completes the limits with others.
func (l Limits) or(o Limits) Limits {
	l.MemoryBytes, l.OutputBytes, l.Outputs = cmp.Or(l.MemoryBytes, o.MemoryBytes), cmp.Or(l.OutputBytes, o.OutputBytes), cmp.Or(l.Outputs, o.Outputs)
	l.Fuel, l.Depth = cmp.Or(l.Fuel, o.Fuel), cmp.Or(l.Depth, o.Depth)
	l.LogLines, l.Traps = cmp.Or(l.LogLines, o.LogLines), cmp.Or(l.Traps, o.Traps)
	return l
}

// withDefaults completes the limits, and says which of them is out of its range.
func (l Limits) withDefaults(mostFuel int64) (Limits, error) {
	l = l.or(Limits{MemoryBytes: defaultMemory, OutputBytes: defaultOutputBytes, Outputs: defaultOutputs, Fuel: defaultFuel,
		Depth: defaultDepth, LogLines: defaultLogLines, Traps: defaultTraps})
	for _, c := range []struct {
		name    string
		n, most int64
	}{
		{"memory", l.MemoryBytes, maxMemory}, {"output", l.OutputBytes, maxMemory}, {"outputs", int64(l.Outputs), 1 << 20},
		{"fuel", l.Fuel, mostFuel}, {"depth", int64(l.Depth), maxDepth}, {"log_lines", int64(l.LogLines), 1 << 20}, {"traps", int64(l.Traps), 1 << 20},
	} {
		if c.n < 1 || c.n > c.most {
			return l, fmt.Errorf("the limit %s of %d is out of the range of 1 to %d", c.name, c.n, c.most)
		}
	}
	return l, nil
}

// caps are what the structure of the module is held to.
func (l Limits) caps() meter.Caps {
	c := meter.Default()
	if l.Large {
		c = meter.Large()
	}
	c.MemoryPages = uint32((l.MemoryBytes + pageBytes - 1) / pageBytes)
	return c
}
