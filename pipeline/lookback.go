package pipeline

import (
	"cmp"
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
	// Lack says that a memory was made again as far as it could be, but for so many offsets that it ought to have.
	Lack(offsets int64)
}

// Keeper is a Rememberer that can come back to a memory at once. It keeps one.
type Keeper interface {
	// Keep keeps the memory as it is, or returns false.
	Keep() bool
	// Return goes back to the memory that was kept in that life, and so begins another, or returns false if that is not there.
	Return(life int) bool
}

// What a step that looks back keeps and does again is bounded, each for one worker.
const (
	// lookBackBytes is what the records that it keeps may take, of all its partitions, unless its step says otherwise.
	lookBackBytes = 64 << 20
	// againPerRecord is how many records are given again for each that is new, in the mean over the offsets that it looks back:
	// so many records may cost the memory there before it is made again only in part.
	againPerRecord = 16
	// keepRecords is how many records given again are worth keeping the memory that they have made.
	keepRecords = 32
)

// Looking is told by a step that looks back, by value; each func may be nil. They are called by its worker, once a batch at most.
type Looking struct {
	Held  func(bytes int64) // what is kept takes so much more, or less
	Again func(records int) // were given again
	Lack  func()            // a memory was made again without some that it ought to have
}

// LookBack makes a step with a memory one whose answer is a function of the log: what it makes of a record rests on that
// record and on those of the Offsets before it in its partition, whether they were polled just now, before a crash, or by
// another worker. When the memory is gone, the step is given those records again, without any effect. The step sees the
// offsets of a partition in rising order, and leaves out of account what lies further back.
//
// Of what is beyond its bounds the memory is not made again, and the step is told (Lack).
type LookBack struct {
	Rememberer
	Offsets int64
	Bytes   int64 // that records given again may take; 0: 64 MiB
	Events  Looking

	life   int // of the memory that the tails tell of
	kept   int // the life in which a memory was kept, or 0
	bytes  int64
	told   int64 // of bytes
	twice  int   // records given again, and not told yet
	tails  map[stream.Partition]*tail
	inputs []stream.Record
	counts []stream.Family // of inputs, where they have one
	one    stream.Batch
}

// Open implements Stateful: it reads what lies before the partition's position again.
func (l *LookBack) Open(ctx context.Context, a stream.Assignment) error {
	l.life, l.kept = 0, 0 // a memory may have seen what comes behind the position
	l.drop(a.Partition)
	l.refill()
	defer l.tell()
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
func (l *LookBack) Close(p stream.Partition) {
	l.drop(p)
	l.tell()
}

// tell tells what has changed since it last did.
func (l *LookBack) tell() {
	if l.Events.Held != nil && l.bytes != l.told {
		l.Events.Held(l.bytes - l.told)
	}
	if l.Events.Again != nil && l.twice > 0 {
		l.Events.Again(l.twice)
	}
	l.told, l.twice = l.bytes, 0
}

// Derive implements Deriver: the same step, which remembers nothing, and is gone before it could tell of itself.
func (l *LookBack) Derive(stream.Partition) Step {
	return &LookBack{Rememberer: l.Rememberer, Offsets: l.Offsets, Bytes: l.Bytes}
}

// Succeed implements Successor.
func (l *LookBack) Succeed(old Step) {
	if was, ok := as[*LookBack](old); ok {
		l.tails, l.bytes = was.tails, was.bytes
		l.refill()
		l.tell()
	}
}

// Process implements Step. A batch during which the memory was lost is processed again record by record, so that each
// finds the memory that it would have found.
func (l *LookBack) Process(ctx context.Context, b *stream.Batch) error {
	defer l.tell()
	if err := l.remind(ctx, b.Records); err != nil {
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
		if err := l.remind(ctx, l.inputs[i:i+1]); err != nil {
			return err
		}
		if err := l.alone(ctx, *r); err != nil {
			return err
		}
		out, settled = append(out, l.one.Records...), settled || l.one.Settled
		if l.Lives() == l.life {
			l.remember(r)
		} else {
			l.of(r.Origin.Partition).earn(l.Offsets)
		}
	}
	b.Replace(out)
	b.Settled = settled
	return nil
}

// remind gives the memory what it should hold of the partitions of some records. A record that costs the memory now is left
// out from here on.
func (l *LookBack) remind(ctx context.Context, rs []stream.Record) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	for i := 0; i < len(rs); i++ {
		if i > 0 && rs[i].Origin.Partition == rs[i-1].Origin.Partition {
			continue
		}
		if err := l.replay(ctx, l.of(rs[i].Origin.Partition)); err != nil {
			return err
		}
		if l.Lives() == l.life {
			continue
		}
		if err := l.begin(ctx); err != nil {
			return err
		}
		i = -1 // what the partitions before were given is gone too
	}
	return nil
}

// begin puts a memory in the place of one that is lost: the one that was kept, or an empty one.
func (l *LookBack) begin(ctx context.Context) error {
	if l.Lives() == l.life {
		return nil
	}
	k, keeps := l.Rememberer.(Keeper)
	back := keeps && l.kept > 0 && k.Return(l.kept)
	if !back {
		if err := l.Forget(ctx); err != nil {
			return err
		}
		l.kept = 0
	}
	l.life = l.Lives()
	for _, t := range l.tails {
		t.given = 0
		if back {
			t.given = t.kept
		}
	}
	return nil
}

// replay gives the step what the memory lacks of a tail, up to a record that costs the memory, which it takes out.
func (l *LookBack) replay(ctx context.Context, t *tail) error {
	if t.given == t.next {
		return nil
	}
	i := t.lacking()
	n := len(t.records) - i
	if over := n - t.credit; over > 0 {
		l.bytes -= t.cut(i, i+over)
		i, n = t.lacking(), n-over
	}
	if short := t.short(l.Offsets); short > 0 {
		l.Lack(short)
		if l.Events.Lack != nil {
			l.Events.Lack()
		}
	}
	for ; i < len(t.records); i++ {
		t.credit--
		l.twice++
		if err := l.alone(ctx, t.records[i]); err != nil {
			return err
		}
		if l.Lives() != l.life {
			l.bytes -= t.take(i, i+1)
			return nil
		}
	}
	t.given = t.next
	if n >= keepRecords {
		l.keep()
	}
	return nil
}

// keep has the step keep its memory, if it can.
func (l *LookBack) keep() {
	k, ok := l.Rememberer.(Keeper)
	if !ok || !k.Keep() {
		return
	}
	l.kept = l.life
	for _, t := range l.tails {
		t.kept = t.given
	}
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

// remember takes note of a record that the memory has seen.
func (l *LookBack) remember(r *stream.Record) {
	t := l.of(r.Origin.Partition)
	l.bytes += t.add(r, l.Offsets)
	t.earn(l.Offsets)
	for most := cmp.Or(l.Bytes, lookBackBytes); l.bytes > most; {
		t := l.largest()
		l.bytes -= t.cut(t.from, t.from+1)
	}
}

func (l *LookBack) of(p stream.Partition) *tail {
	t := l.tails[p]
	if t == nil {
		if l.tails == nil {
			l.tails = map[stream.Partition]*tail{}
		}
		t = &tail{credit: againPerRecord * int(l.Offsets)}
		l.tails[p] = t
	}
	return t
}

func (l *LookBack) drop(p stream.Partition) {
	if t := l.tails[p]; t != nil {
		l.bytes -= t.bytes
		delete(l.tails, p)
	}
}

// refill is for what makes memories anew, and is no record's doing.
func (l *LookBack) refill() {
	for _, t := range l.tails {
		t.credit = againPerRecord * int(l.Offsets)
	}
}

// largest is the tail that takes most.
func (l *LookBack) largest() (most *tail) {
	for _, t := range l.tails {
		if most == nil || t.bytes > most.bytes {
			most = t
		}
	}
	return most
}
