package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
	"golang.org/x/sync/errgroup"
)

// checkpoint ends the unit of commitment: outputs are flushed while state changes are stored, then the floors are
// committed with what names those changes, then the steps are told. It outlives the end of ctx, for a bounded time.
func (w *Worker) checkpoint(ctx context.Context) error {
	if w.begun.IsZero() {
		return nil
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := w.commit(ctx)
	if ev := w.spec.Events.Checkpoint; ev != nil {
		ev(w.number, time.Since(begin), err)
	}
	if err != nil {
		return err
	}
	w.good = true
	w.restart()
	return nil
}

func (w *Worker) commit(ctx context.Context) error {
	ps := make([]stream.Partition, 0, len(w.touched))
	for p := range w.touched {
		ps = append(ps, p)
	}
	nonce := newNonce()
	g, gx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.flush(gx) })
	prepared := false
	for i := range w.stages {
		if s, ok := as[Checkpointed](w.stages[i].Step); ok {
			prepared = true
			g.Go(func() error { return s.Prepare(gx, nonce, ps) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if !prepared {
		nonce = ""
	}
	marks := make([]stream.Mark, 0, len(ps))
	for _, p := range ps {
		marks = append(marks, stream.Mark{Partition: p, Commit: w.mark(p, nonce)})
	}
	if err := w.client.Commit(ctx, marks); err != nil {
		return err
	}
	for i := range w.stages {
		if s, ok := as[Checkpointed](w.stages[i].Step); ok {
			s.Committed(nonce, ps)
		}
	}
	w.settleAccounts()
	return nil
}

// flush waits for the outputs. What the brokers refuse for good becomes a dead letter, which is an output too.
func (w *Worker) flush(ctx context.Context) error {
	for {
		refused, err := w.client.Flush(ctx)
		if err != nil {
			return err
		}
		if len(refused) == 0 {
			return nil
		}
		for i := range refused {
			r := &refused[i]
			if r.Sink == w.spec.DeadLetters || w.spec.DeadLetters == stream.NoSink {
				return fmt.Errorf("%w: the dead letters cannot take record %v: %s", stream.ErrHalt, r.Origin, r.Cause.Message)
			}
			cause := *r.Cause
			cause.Step = "sink " + w.spec.Outputs[r.Sink-1].Name
			r.Cause = &cause
			w.outputs[r.Sink].records--
			f := w.fatesOf(r.Origin.Partition)
			f.by[r.Fate]--
			f.by[verdict(r)]++
			w.bury(r)
		}
		w.client.Write(w.out)
		w.out = w.out[:0]
	}
}

// mark is what to commit for a partition: the floor, below which everything is settled and durable.
func (w *Worker) mark(p stream.Partition, nonce string) stream.Commit {
	at := w.open[p]
	c := stream.Commit{Floor: at.next, Head: max(at.next, at.head), Nonce: nonce, Watermark: noWatermark, Skips: at.skips}
	for i := range w.stages {
		h, ok := as[Holder](w.stages[i].Step)
		if !ok {
			continue
		}
		if n, floor := h.Held(p); n > 0 {
			c.Floor = min(c.Floor, floor)
		}
		c.Watermark = max(c.Watermark, h.Watermark(p))
		c.Note += h.Note(p) // a pipeline has one step that holds records back
	}
	at.head, at.floor = c.Head, c.Floor
	return c
}

// settleAccounts enters a committed checkpoint into the ledger, and tells where its partitions stand.
func (w *Worker) settleAccounts() {
	for p := range w.touched {
		at := w.open[p]
		w.spec.Ledger.enter(p, &at.fates, w.held(p))
		w.stands(p, at, true)
	}
	w.holds()
	for i, o := range w.spec.Outputs {
		out := w.outputs[i+1]
		w.spec.Ledger.wrote(o.Name, out.records)
		if ev := w.spec.Events.Output; ev != nil && out.records > 0 {
			ev(o.Name, out.records, out.bytes)
		}
	}
}

// held is how many inputs of a partition wait in steps.
func (w *Worker) held(p stream.Partition) (total int64) {
	for i := range w.stages {
		if h, ok := as[Holder](w.stages[i].Step); ok {
			n, _ := h.Held(p)
			total += int64(n)
		}
	}
	return total
}

// holds tells what each step holds.
func (w *Worker) holds() {
	for i := range w.stages {
		h, ok := as[Holder](w.stages[i].Step)
		if !ok || w.spec.Events.Holding == nil {
			continue
		}
		holding := Holding{Step: w.stages[i].Name}
		for p := range w.open {
			n, _ := h.Held(p)
			holding.Inputs += n
			if since := h.Oldest(p); !since.IsZero() && (holding.Oldest.IsZero() || since.Before(holding.Oldest)) {
				holding.Oldest = since
			}
		}
		w.spec.Events.Holding(w.number, holding)
	}
}

// stands tells where a partition stands.
func (w *Worker) stands(p stream.Partition, at *partition, committed bool) {
	if ev := w.spec.Events.Standing; ev != nil {
		ev(w.number, Standing{Partition: p, Floor: at.floor, Next: at.next, End: w.client.End(p), First: at.first, Last: at.last, Committed: committed})
	}
}

// revoke ends the checkpoint before partitions go to another member, so that a planned rebalance repeats nothing.
func (w *Worker) revoke(ctx context.Context, r stream.Revocation) error {
	defer r.Ended()
	if err := w.checkpoint(ctx); err != nil {
		return err
	}
	for _, p := range r.Partitions {
		if w.open[p] != nil {
			w.closePartition(p)
			if left := w.spec.Events.Left; left != nil {
				left(w.number, p)
			}
		}
	}
	w.holds()
	return nil
}
