package pipeline

import (
	"context"
	"fmt"

	"github.com/streamproc/streamproc/stream"
)

// Rememberer is a Step that has a memory of its own, which it may lose at any call of Process.
type Rememberer interface {
	Step
	// Lives tells memories apart, by numbers from 1: with another one than before, something of what it was given since has been lost, or
	// was given twice.
	Lives() int
	// Forget begins with an empty memory.
	Forget(ctx context.Context) error
}

// LookBack makes a step with a memory one whose answer is a function of the log: what it makes of a record rests on that
// record and on those of the Offsets before it in its partition, whether they were polled just now, before a crash, or by
// another worker. When the memory is gone, the step is given those records again, without any effect. The step sees the
// offsets of a partition in rising order, and leaves out of account what lies further back.
type LookBack struct {
	Rememberer
	Offsets int64

	life   int // of the memory that has all of tails; another one is given them first
	tails  map[stream.Partition]*tail
	inputs []stream.Record
	counts []stream.Family // of inputs, where they have one
	one    stream.Batch
}

// tail is what a step is given again of a partition: the last that it was given, but for records that cost it its memory.
type tail struct {
	records []stream.Record
	from    int // those before are too far back
}

// add appends a record, and lets go of what lies too far back for the next one.
func (t *tail) add(r *stream.Record, offsets int64) {
	kept := r.Clone()
	kept.Family = nil
	t.records = append(t.records, kept)
	for t.records[t.from].Origin.Offset <= r.Origin.Offset-offsets {
		t.from++
	}
	if t.from > len(t.records)/2 {
		n := copy(t.records, t.records[t.from:])
		clear(t.records[n:])
		t.records, t.from = t.records[:n], 0
	}
}

// Open implements Stateful: it reads what lies before the partition's position again.
func (l *LookBack) Open(ctx context.Context, a stream.Assignment) error {
	l.life = 0 // the memory may have seen what comes behind the position
	*l.of(a.Partition) = tail{}
	from := max(a.Position-l.Offsets, 0)
	if from >= a.Position {
		return nil
	}
	if _, err := a.History.Replay(ctx, from, a.Position, func(b *stream.Batch) error { return l.Process(ctx, b) }); err != nil {
		return fmt.Errorf("looking back from offset %d to %d: %w", a.Position, from, err)
	}
	return nil
}

// Close implements Stateful.
func (l *LookBack) Close(p stream.Partition) { delete(l.tails, p) }

// Derive implements Deriver: the same step, which remembers nothing.
func (l *LookBack) Derive(stream.Partition) Step {
	return &LookBack{Rememberer: l.Rememberer, Offsets: l.Offsets}
}

// Succeed implements Successor.
func (l *LookBack) Succeed(old Step) {
	if was, ok := as[*LookBack](old); ok {
		l.tails = was.tails
	}
}

func (l *LookBack) of(p stream.Partition) *tail {
	t := l.tails[p]
	if t == nil {
		if l.tails == nil {
			l.tails = map[stream.Partition]*tail{}
		}
		t = &tail{}
		l.tails[p] = t
	}
	return t
}

// Process implements Step. A batch during which the memory was lost is processed again record by record, so that each
// finds the memory that it would have found.
func (l *LookBack) Process(ctx context.Context, b *stream.Batch) error {
	if err := l.remind(ctx); err != nil {
		return err
	}
	l.note(b)
	if err := l.Rememberer.Process(ctx, b); err != nil {
		l.life = 0
		return err
	}
	if l.Lives() == l.life {
		for i := range l.inputs {
			l.remember(&l.inputs[i])
		}
		return nil
	}
	return l.again(ctx, b)
}

// note keeps the inputs of a batch as they are before the step.
func (l *LookBack) note(b *stream.Batch) {
	l.inputs, l.counts = append(l.inputs[:0], b.Records...), l.counts[:0]
	for i := range l.inputs {
		if f := l.inputs[i].Family; f != nil {
			l.counts = append(l.counts, *f)
		}
	}
}

func (l *LookBack) again(ctx context.Context, b *stream.Batch) error {
	for i, k := 0, 0; i < len(l.inputs); i++ {
		if f := l.inputs[i].Family; f != nil {
			*f = l.counts[k]
			k++
		}
	}
	out, settled := b.Rewrite(), false
	for i := range l.inputs {
		r := &l.inputs[i]
		if err := l.remind(ctx); err != nil {
			return err
		}
		if err := l.alone(ctx, *r); err != nil {
			return err
		}
		out, settled = append(out, l.one.Records...), settled || l.one.Settled
		if l.Lives() == l.life {
			l.remember(r)
		}
	}
	b.Replace(out)
	b.Settled = settled
	return nil
}

// remind gives an empty memory what it should hold. A record that costs the memory now is left out from here on.
func (l *LookBack) remind(ctx context.Context) error {
	for l.Lives() != l.life {
		if err := l.Forget(ctx); err != nil {
			return err
		}
		l.life = l.Lives()
		for _, t := range l.tails {
			if err := l.replay(ctx, t); err != nil {
				return err
			}
			if l.Lives() != l.life {
				break
			}
		}
	}
	return nil
}

// replay gives the step a tail, up to a record that costs the memory, which it takes out.
func (l *LookBack) replay(ctx context.Context, t *tail) error {
	for i := t.from; i < len(t.records); i++ {
		if err := l.alone(ctx, t.records[i]); err != nil {
			return err
		}
		if l.Lives() != l.life {
			t.records = append(t.records[:i], t.records[i+1:]...)
			return nil
		}
	}
	return nil
}

// alone gives the step one record; what it makes of it is in l.one.
func (l *LookBack) alone(ctx context.Context, r stream.Record) error {
	l.one.Reset()
	l.one.Records = append(l.one.Records, r)
	if err := l.Rememberer.Process(ctx, &l.one); err != nil {
		l.life = 0
		return err
	}
	return nil
}

func (l *LookBack) remember(r *stream.Record) { l.of(r.Origin.Partition).add(r, l.Offsets) }
