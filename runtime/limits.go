package runtime

import (
	"fmt"
	"time"
)

// Limits bound what a plugin may use. A zero field takes the default.
type Limits struct {
	MemoryBytes int64 // linear memory of one instance; default 32 MiB, at most 512 MiB; rounded up to 64 KiB
	OutputBytes int64 // value, key and headers that one input may become; default 4 MiB
	Outputs     int   // outputs of one input; default 1,000
	// Deadline ends a call that takes longer; 0 is off. It is dear: the engine then leaves the guest's code at every
	// loop, which makes a tight loop about 13 times slower and a real plugin 2.4 times, and it does not stop code without
	// loops. The module is compiled a second time for it. Metering, when it comes, takes its place here.
	Deadline time.Duration
}

const (
	pageBytes          = 64 << 10
	defaultMemory      = 32 << 20
	maxMemory          = 512 << 20
	defaultOutputBytes = 4 << 20
	defaultOutputs     = 1000

	maxModuleBytes = 64 << 20 // a Go plugin is 2 to 7 MiB; compile time grows faster than size
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
	outputHeaders      = 64      // record headers of one output
)

func (l Limits) withDefaults() (Limits, error) {
	if l.MemoryBytes == 0 {
		l.MemoryBytes = defaultMemory
	}
	if l.OutputBytes == 0 {
		l.OutputBytes = defaultOutputBytes
	}
	if l.Outputs == 0 {
		l.Outputs = defaultOutputs
	}
	switch {
	case l.MemoryBytes < 0 || l.MemoryBytes > maxMemory:
		return l, fmt.Errorf("memory limit of %d bytes is not within 1 and %d", l.MemoryBytes, int64(maxMemory))
	case l.OutputBytes < 0 || l.Outputs < 0 || l.Deadline < 0:
		return l, fmt.Errorf("limits must not be negative")
	}
	return l, nil
}

func (l Limits) variant() variant {
	return variant{pages: uint32((l.MemoryBytes + pageBytes - 1) / pageBytes), deadline: l.Deadline > 0}
}
