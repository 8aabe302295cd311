package pipeline

import (
	"context"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Stage is a step in its place, with its name and what happens to records that it cannot process.
type Stage struct {
	Name string
	Step Step
}

// run sends a batch through stages. Between two of them it hands the records that were settled to settle and takes them
// out, so that a step sees only flowing ones.
func run(ctx context.Context, stages []Stage, b *stream.Batch, settle func(*stream.Record), ev *Events) error {
	for i := range stages {
		n := len(b.Records)
		if n == 0 && i > 0 && !keepsLog(stages[i].Step) {
			continue
		}
		begin := time.Now()
		if err := stages[i].Step.Process(ctx, b); err != nil {
			return err
		}
		took := time.Since(begin)
		ev.step(stages[i].Name, n, b, sweep(b, settle), took)
	}
	return nil
}

// step tells what a step did with n records: b is what it left of them.
func (e *Events) step(name string, n int, b *stream.Batch, settled [stream.Fates]int, took time.Duration) {
	if e != nil && e.Step != nil {
		e.Step(Work{Step: name, In: n, Out: len(b.Records), Settled: settled, Took: took})
	}
}

// keepsLog says that a step must see the spans of a batch even when none of its records arrives.
func keepsLog(s Step) bool {
	_, ok := as[Stateful](s)
	return ok
}

// sweep takes settled records out of the batch, in order, and counts them.
func sweep(b *stream.Batch, settle func(*stream.Record)) (settled [stream.Fates]int) {
	if !b.Settled {
		return settled
	}
	kept := 0
	for i := range b.Records {
		if r := &b.Records[i]; r.Fate != stream.Flowing {
			settle(r)
			settled[r.Fate]++ // settle has the last word
			continue
		}
		if kept != i {
			b.Records[kept] = b.Records[i]
		}
		kept++
	}
	clear(b.Records[kept:])
	b.Records, b.Settled = b.Records[:kept], false
	return settled
}
