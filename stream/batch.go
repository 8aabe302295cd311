package stream

// Span is the part of a batch that was polled from one partition: the offsets [From, To), of which only some may hold
// records (compaction, transaction markers).
type Span struct {
	Partition Partition
	From, To  int64
	Records   int // how many records of the batch, as polled, are of this span
}

// Batch is what one poll of one worker brought, on its way through the steps: per partition in offset order, partitions
// one after the other. It is used by one goroutine at a time, and reused: nothing in it outlives the next poll except
// what Key and Value of its records point to.
type Batch struct {
	Spans   []Span
	Records []Record
	Settled bool // at least one record is no longer flowing: the worker sweeps before the next step
	next    []Record
}

// Settle gives record i its fate. The worker takes it out of the batch after the step.
func (b *Batch) Settle(i int, f Fate) {
	b.Records[i].Fate = f
	b.Settled = true
}

// Fail sends record i to the dead letters.
func (b *Batch) Fail(i int, c *Cause) {
	b.Records[i].Cause = c
	b.Settle(i, DeadLettered)
}

// Rewrite starts a new list of records for a step that changes their number or order: append to the returned slice, then
// call Replace with it. Records of the old list stay readable until Replace.
func (b *Batch) Rewrite() []Record { return b.next[:0] }

// Replace puts the list begun with Rewrite in the place of the records. Every record of the old list must be in the new
// one, settled or not, be replaced by outputs that share its Origin, or be held by the step.
func (b *Batch) Replace(records []Record) {
	b.next, b.Records = b.Records, records
}

// Reset empties the batch for the next poll and lets go of what its records pointed to.
func (b *Batch) Reset() {
	clear(b.Records)
	clear(b.next[:cap(b.next)])
	b.Spans, b.Records, b.next, b.Settled = b.Spans[:0], b.Records[:0], b.next[:0], false
}
