package pipeline

import (
	"fmt"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/stream"
)

// Counts are what became of input records: In = Out + Filtered + Duplicates + Late + DeadLettered + Held.
type Counts struct {
	In           int64 `json:"in"`
	Out          int64 `json:"out"`
	Filtered     int64 `json:"filtered"`
	Duplicates   int64 `json:"duplicates"`
	Held         int64 `json:"held"` // waiting in a reorder step, or left to the next owner of their partition while they waited
	Late         int64 `json:"late"`
	DeadLettered int64 `json:"dead_lettered"`
	Replayed     int64 `json:"replayed"` // read again after a restart and settled before it: not part of In
}

// Difference is In less everything that became of it: 0, or the ledger does not close.
func (c Counts) Difference() int64 {
	return c.In - c.Out - c.Filtered - c.Duplicates - c.Held - c.Late - c.DeadLettered
}

func (c Counts) String() string {
	n := humanize.Comma
	closes := "closes"
	if d := c.Difference(); d != 0 {
		closes = fmt.Sprintf("DOES NOT CLOSE: %s missing", n(d))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "in %s = out %s + filtered %s + duplicates %s + held %s + late %s + dead-lettered %s   %s",
		n(c.In), n(c.Out), n(c.Filtered), n(c.Duplicates), n(c.Held), n(c.Late), n(c.DeadLettered), closes)
	return b.String()
}

// Ledger accounts for the input of one pipeline, checkpoint by checkpoint: what was not committed is not in it. Safe for
// concurrent use.
type Ledger struct {
	mu      sync.Mutex
	counts  Counts
	left    int64         // held when their partition went to another member, or the worker was rebuilt
	holding map[int]int64 // by worker, as of its last checkpoint
	outputs map[string]int64
}

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	return &Ledger{holding: map[int]int64{}, outputs: map[string]int64{}}
}

// Counts returns the account as of the last checkpoints.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	c.Held = l.left
	for _, n := range l.holding {
		c.Held += n
	}
	return c
}

// Outputs returns how many records were written, by sink.
func (l *Ledger) Outputs() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := make(map[string]int64, len(l.outputs))
	for k, v := range l.outputs {
		m[k] = v
	}
	return m
}

// tally is the account of one checkpoint.
type tally struct {
	read    int64
	fates   [stream.Fates]int64
	outputs []int64 // records, by sink
	bytes   []int64 // of keys and values, by sink
}

func (t *tally) reset(sinks int) {
	if len(t.outputs) != sinks+1 {
		t.outputs, t.bytes = make([]int64, sinks+1), make([]int64, sinks+1)
	}
	clear(t.outputs)
	clear(t.bytes)
	t.read, t.fates = 0, [stream.Fates]int64{}
}

// commit adds the account of a committed checkpoint of a worker that now holds so many inputs.
func (l *Ledger) commit(worker int, t *tally, held int64, sinks []Output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.counts
	c.In += t.read - t.fates[stream.Replayed]
	c.Replayed += t.fates[stream.Replayed]
	c.Out += t.fates[stream.Out]
	c.Filtered += t.fates[stream.Filtered]
	c.Duplicates += t.fates[stream.Duplicate]
	c.Late += t.fates[stream.Late]
	c.DeadLettered += t.fates[stream.DeadLettered]
	l.holding[worker] = held
	for i, n := range t.outputs[1:] {
		l.outputs[sinks[i].Name] += n
	}
}

// leave says that a worker has given up partitions of which it held so many inputs at its last checkpoint.
func (l *Ledger) leave(worker int, held int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left += held
	l.holding[worker] -= held
}
