package pipeline

import (
	"context"
	"slices"

	"github.com/streamproc/streamproc/stream"
)

// history is stream.History for one step: what the partition's log looks like after the steps before it.
type history struct {
	w    *Worker
	p    stream.Partition
	step int // its place among the stages
}

// Replay implements stream.History. The steps before are deterministic, and run as they are; those with state give the
// verdicts they would give to the log from memory, and for those that look back it begins further back. Nothing has an
// effect: fates are read, not carried out.
func (h *history) Replay(ctx context.Context, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	stages, lead := make([]Stage, 0, h.step), int64(0)
	for _, s := range h.w.stages[:h.step] {
		if l, ok := as[*LookBack](s.Step); ok {
			lead += l.Offsets
		}
		s.Step = h.replayed(s.Step)
		stages = append(stages, s)
	}
	start, err := h.w.client.Replay(ctx, h.p, max(from-lead, min(from, 0)), to, func(b *stream.Batch) error {
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
		if cutBelow(b, from) {
			return nil
		}
		return visit(b)
	})
	return max(start, from), err
}

// replayed is a step as it runs over history.
func (h *history) replayed(s Step) Step {
	p, _ := s.(*Policy)
	if d, ok := as[Deriver](s); ok {
		if s = d.Derive(h.p); p != nil {
			p = &Policy{Step: s, Name: p.Name, OnError: p.OnError, Retry: p.Retry}
			s = p
		}
	}
	if p != nil && p.OnError == Stop {
		return p.Step
	}
	return s
}

// cutBelow takes out of a batch of one partition what lies below an offset, and says whether that is all of it.
func cutBelow(b *stream.Batch, from int64) bool {
	if len(b.Spans) == 0 || b.Spans[0].From >= from {
		return false
	}
	b.Spans[0].From = from
	b.Records = slices.DeleteFunc(b.Records, func(r stream.Record) bool { return r.Origin.Offset < from })
	return b.Spans[0].To <= from
}

// Committed implements stream.History.
func (h *history) Committed(ctx context.Context) (stream.Commit, error) {
	return h.w.client.Committed(ctx, h.p)
}
