package pipeline

import (
	"context"

	"github.com/streamproc/streamproc/stream"
)

// history is stream.History for one step: what the partition's log looks like after the steps before it.
type history struct {
	w    *Worker
	p    stream.Partition
	step int // its place among the stages
}

// Replay implements stream.History. The steps before are deterministic, and run as they are; those with state give the
// verdicts they would give to the log from memory. Nothing has an effect: fates are read, not carried out.
func (h *history) Replay(ctx context.Context, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	stages := make([]Stage, 0, h.step)
	for _, s := range h.w.stages[:h.step] {
		if d, ok := as[Deriver](s.Step); ok {
			s.Step = d.Derive(h.p)
		} else if p, ok := s.Step.(*Policy); ok && p.OnError == Stop {
			s.Step = p.Step
		}
		stages = append(stages, s)
	}
	return h.w.client.Replay(ctx, h.p, from, to, func(b *stream.Batch) error {
		for i := range b.Records {
			if cause := h.w.spec.Limits.exceeded(&b.Records[i]); cause != nil {
				b.Fail(i, cause)
			}
		}
		ignore := func(*stream.Record) {}
		sweep(b, ignore)
		if err := run(ctx, stages, b, ignore, nil); err != nil {
			return err
		}
		return visit(b)
	})
}

// Committed implements stream.History.
func (h *history) Committed(ctx context.Context) (stream.Commit, error) {
	return h.w.client.Committed(ctx, h.p)
}
