package reorder

import (
	"time"

	"github.com/streamproc/streamproc/stream"
)

// held is a record that waits.
type held struct {
	record   stream.Record
	order    int64 // its sequence, or its event time
	arrival  int64 // tells apart records of one event time, or of one deadline
	key      *keyState
	deadline int64 // stream time at which its gap is over
	before   int64 // generation of the log time before its input
	since    time.Time
	gone     bool // released; heaps may still hold it
}

// output is the list of records that a batch becomes. As long as every record keeps its place nothing is copied.
type output struct {
	batch   *stream.Batch
	records []stream.Record
	begun   bool
	fresh   []*held // held since this batch began: they still share its memory
}

func (o *output) reset(b *stream.Batch) {
	o.batch, o.records, o.begun, o.fresh = b, nil, false, o.fresh[:0]
}

// begin makes the list one of its own; the first n records keep their places.
func (o *output) begin(n int) {
	if !o.begun {
		o.begun = true
		o.records = append(o.batch.Rewrite(), o.batch.Records[:n]...)
	}
}

// keep lets record i go on.
func (o *output) keep(i int) {
	if o.begun {
		o.records = append(o.records, o.batch.Records[i])
	}
}

// hold takes record i out.
func (o *output) hold(i int) *held {
	o.begin(i)
	h := &held{record: o.batch.Records[i]}
	o.fresh = append(o.fresh, h)
	return h
}

// release puts a held record behind record i.
func (o *output) release(h *held, i int) {
	o.begin(i + 1)
	h.gone = true
	if h.record.Fate != stream.Flowing {
		o.batch.Settled = true
	}
	o.records = append(o.records, h.record)
	h.record = stream.Record{}
}

// finish hands the list to the batch, and gives what is still held a memory of its own.
func (o *output) finish() {
	for i, h := range o.fresh {
		if !h.gone {
			h.record = h.record.Clone()
		}
		o.fresh[i] = nil
	}
	if o.begun {
		o.batch.Replace(o.records)
	}
	o.batch, o.records = nil, nil
}
