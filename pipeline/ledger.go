package pipeline

import (
	"fmt"
	"maps"
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

func (c *Counts) add(o Counts) {
	c.In += o.In
	c.Out += o.Out
	c.Filtered += o.Filtered
	c.Duplicates += o.Duplicates
	c.Held += o.Held
	c.Late += o.Late
	c.DeadLettered += o.DeadLettered
	c.Replayed += o.Replayed
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

// Ledger accounts for the input of one pipeline, partition by partition and checkpoint by checkpoint: what was not
// committed is not in it. Safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	pages   map[stream.Partition]*page
	outputs map[string]int64
}

// page is the account of one partition.
type page struct {
	counts Counts
	left   int64 // held when the partition went to another member, or the worker was rebuilt
	held   int64 // as of the last checkpoint
}

func (p *page) read() Counts {
	c := p.counts
	c.Held = p.left + p.held
	return c
}

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	return &Ledger{pages: map[stream.Partition]*page{}, outputs: map[string]int64{}}
}

// Counts returns the account as of the last checkpoints.
func (l *Ledger) Counts() (total Counts) {
	for _, c := range l.Partitions() {
		total.add(c)
	}
	return total
}

// Partitions returns the account of each partition that was ever read.
func (l *Ledger) Partitions() map[stream.Partition]Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := make(map[stream.Partition]Counts, len(l.pages))
	for p, page := range l.pages {
		m[p] = page.read()
	}
	return m
}

// Difference is how many inputs are unaccounted for, or accounted for too often, over all partitions: 0, or the ledger does
// not close. What one partition lacks another cannot make good.
func (l *Ledger) Difference() (n int64) {
	for _, c := range l.Partitions() {
		n += max(c.Difference(), -c.Difference())
	}
	return n
}

// Outputs returns how many records were written, by sink.
func (l *Ledger) Outputs() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.outputs)
}

// fates is what became of the records of one partition in one checkpoint.
type fates struct {
	read int64
	by   [stream.Fates]int64
}

// enter adds the account of a partition in a committed checkpoint, after which so many of its inputs are held.
func (l *Ledger) enter(p stream.Partition, f *fates, held int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.pages[p]
	if at == nil {
		at = &page{}
		l.pages[p] = at
	}
	at.held = held
	at.counts.add(Counts{In: f.read - f.by[stream.Replayed], Replayed: f.by[stream.Replayed], Out: f.by[stream.Out], Filtered: f.by[stream.Filtered],
		Duplicates: f.by[stream.Duplicate], Late: f.by[stream.Late], DeadLettered: f.by[stream.DeadLettered]})
}

// wrote adds what a committed checkpoint has written to a sink.
func (l *Ledger) wrote(sink string, records int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outputs[sink] += records
}

// leave says that a partition was given up, with what it held at its last checkpoint.
func (l *Ledger) leave(p stream.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.pages[p]; at != nil {
		at.left, at.held = at.left+at.held, 0
	}
}
