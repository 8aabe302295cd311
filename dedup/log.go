package dedup

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/stream"
)

const (
	readBytes   = 1 << 20 // one read of a segment: short enough not to hold up a store that others use
	repairBytes = 4 << 20 // entries that a repair gathers before it stores them
)

// loader reads a partition log into the window, up to its end or the first hole.
type loader struct {
	p          *partition
	from       int64 // offsets below need no verdict
	begin, end int64 // offsets of the entries read, or -1
	beginGen   int64
	buf        []byte
}

// load reads the segments, and cuts the log where it is not whole. It leaves the end in p.head, and says whether the log
// covers what is to be read again and the window before.
func (p *partition) load(ctx context.Context, store Store, st stream.LogState, from int64) (*loader, bool, error) {
	l := &loader{p: p, from: from, begin: -1, end: -1}
	lead := true // segments at the start that have expired
	missing := false
	for i, length := range st.Lengths {
		number := st.First + int64(i)
		if lead && length == 0 {
			missing = true
			continue
		}
		lead = false
		good, err := l.segment(ctx, store, number, length)
		if err != nil {
			return nil, false, err
		}
		if good > 0 {
			p.segments = append(p.segments, segment{number: number, length: good, gen: p.gen, to: l.end})
		}
		if good < length || length == 0 {
			break
		}
	}
	if err := l.cut(ctx, store, st); err != nil {
		return nil, false, err
	}
	if l.end >= 0 {
		p.head = l.end
		p.open.reset(l.end, p.gen)
	}
	whole := l.end >= 0 && l.begin <= from && !(missing && l.beginGen >= p.gen-1)
	return l, whole, nil
}

// segment reads the entries of one segment, and returns how many of its bytes are good.
func (l *loader) segment(ctx context.Context, store Store, number, length int64) (int64, error) {
	l.buf = l.buf[:0]
	good, read := int64(0), int64(0)
	for {
		e, n, err := decodeEntry(l.buf)
		if err != nil || (n > 0 && !l.follows(&e)) {
			return good, nil //nolint:nilerr // what cannot be read is the end of the log, and is derived again
		}
		if n > 0 {
			l.take(e)
			l.buf = l.buf[n:]
			good += int64(n)
			continue
		}
		if read >= length {
			return good, nil //nolint:nilerr // what cannot be read is the end of the log, and is derived again
		}
		data, err := store.Read(ctx, l.p.key, number, read, int(min(readBytes, length-read)))
		if err != nil {
			return 0, fmt.Errorf("reading segment %d of partition log %s: %w", number, l.p.key.Partition, err)
		}
		if len(data) == 0 {
			return good, nil //nolint:nilerr // what cannot be read is the end of the log, and is derived again
		}
		l.buf = append(append(make([]byte, 0, len(l.buf)+len(data)), l.buf...), data...)
		read += int64(len(data))
	}
}

func (l *loader) follows(e *entry) bool {
	return (l.end < 0 || e.from == l.end) && e.gen >= l.p.gen
}

func (l *loader) take(e entry) {
	if l.end < 0 {
		l.begin, l.beginGen = e.from, e.gen
	}
	l.end = e.to
	l.p.turn(e.gen)
	for _, d := range e.digests {
		l.p.window.load(d)
	}
	if e.to > l.from {
		e.digests = nil
		l.p.known = append(l.p.known, e)
	}
}

// cut makes the store's log end where the good entries end, if it does not.
func (l *loader) cut(ctx context.Context, store Store, st stream.LogState) error {
	segment, length := st.First-1, int64(0)
	if n := len(l.p.segments); n > 0 {
		segment, length = l.p.segments[n-1].number, l.p.segments[n-1].length
	}
	whole := segment == st.Last() && (len(st.Lengths) == 0 || st.Lengths[len(st.Lengths)-1] == length)
	if whole && l.end == st.Head {
		return nil
	}
	if err := store.Cut(ctx, l.p.key, l.p.token, segment, length, l.end); err != nil {
		return fmt.Errorf("cutting partition log %s at %d: %w", l.p.key.Partition, l.end, err)
	}
	return nil
}

// Open takes the partition over, reads its log, and repairs what the store has forgotten.
func (s *Step) Open(ctx context.Context, a stream.Assignment) error {
	key := stream.StateKey{Partition: a.Partition, TopicID: a.TopicID}
	p := newPartition(key, s.Window)
	p.done, p.skips = a.Position, a.Commit.Skips.Ranges()
	err := s.takeOver(ctx, p, a)
	if errors.Is(err, stream.ErrUnavailable) {
		if err = s.away(err); err == nil {
			p = newPartition(key, s.Window)
			p.blind, p.done = true, a.Position
		}
	}
	if err != nil {
		return fmt.Errorf("dedup step %s: opening partition %s: %w", s.Name, a.Partition, err)
	}
	s.parts[a.Partition] = p
	return nil
}

func (s *Step) takeOver(ctx context.Context, p *partition, a stream.Assignment) error {
	p.token = newToken()
	st, err := s.Store.Take(ctx, p.key, p.token, newSecret())
	if err != nil {
		return fmt.Errorf("taking over the partition log: %w", err)
	}
	p.hash = newHasher(st.Secret)
	l, whole, err := p.load(ctx, s.Store, st, a.Position)
	if err != nil {
		return err
	}
	switch {
	case whole && l.end >= a.Position:
		return nil
	case a.Commit.Floor < 0: // nothing depends on the verdicts yet
		if l.end >= 0 {
			if err := uncommitted(ctx, a); err != nil {
				return err
			}
		}
		return s.startAgain(ctx, p, a.Position)
	case whole && s.OnUnavailable == Pass: // what was passed unchecked has no verdicts yet
		return s.derive(ctx, p, l.end, a)
	}
	return s.repair(ctx, p, whole, a)
}

// uncommitted makes sure that there is still no commit: a worker that stood still since its assignment may not remove the log
// that the owner has begun meanwhile.
func uncommitted(ctx context.Context, a stream.Assignment) error {
	now, err := a.History.Committed(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("asking for the commit again: %w", err)
	case now.Floor >= 0:
		return fmt.Errorf("the group had no commit and has %d by now: %w", now.Floor, stream.ErrStale)
	}
	return nil
}

// startAgain removes the log, and begins one at an offset.
func (s *Step) startAgain(ctx context.Context, p *partition, at int64) error {
	if err := s.Store.Cut(ctx, p.key, p.token, -1, 0, -1); err != nil {
		return fmt.Errorf("removing the partition log: %w", err)
	}
	*p = partition{key: p.key, token: p.token, hash: p.hash, window: *newWindow(s.Window), label: p.label, done: p.done, skips: p.skips}
	p.begin(at)
	return nil
}

// repair does what the policy says about a log that ends before the committed floor, or is not whole.
func (s *Step) repair(ctx context.Context, p *partition, whole bool, a stream.Assignment) error {
	if s.OnStateLoss == Halt {
		return fmt.Errorf("the store has forgotten verdicts that were committed, up to offset %d: %w", a.Position, stream.ErrHalt)
	}
	from := p.head
	if !whole {
		from = -1
		if err := s.startAgain(ctx, p, a.Position); err != nil {
			return err
		}
	}
	if s.OnStateLoss == Accept {
		if err := s.flushEntry(ctx, p, a.Position); err != nil {
			return err
		}
		s.repaired(a.Partition, from, a.Position, Accept)
		return nil
	}
	return s.derive(ctx, p, from, a)
}

// derive judges [from, position) again. From -1 is the start of what Kafka retains.
func (s *Step) derive(ctx context.Context, p *partition, from int64, a stream.Assignment) error {
	s.parts[a.Partition] = p
	defer delete(s.parts, a.Partition)
	defer func(c Verdicts, done int64) { s.counts, p.done = c, done }(s.counts, p.done)
	p.done, s.appends, s.buffer = 0, s.appends[:0], s.buffer[:0]
	begun := from >= 0
	start, err := a.History.Replay(ctx, from, a.Position, func(b *stream.Batch) error {
		if !begun {
			at, ok := firstOffset(b)
			if !ok {
				return nil
			}
			p.begin(at)
			begun = true
		}
		return s.rejudge(ctx, p, b, a.Position)
	})
	if err != nil {
		return fmt.Errorf("deriving verdicts again from offset %d: %w", from, err)
	}
	if err := s.flushEntry(ctx, p, a.Position); err != nil {
		return err
	}
	s.repaired(a.Partition, start, a.Position, Rebuild)
	return nil
}

func firstOffset(b *stream.Batch) (int64, bool) {
	if len(b.Spans) > 0 {
		return b.Spans[0].From, true
	}
	if len(b.Records) > 0 {
		return b.Records[0].Origin.Offset, true
	}
	return 0, false
}

// rejudge notes the verdicts of a replayed batch, without any effect on its records that outlives it.
func (s *Step) rejudge(ctx context.Context, p *partition, b *stream.Batch, to int64) error {
	if err := s.walk(b, s.Now()); err != nil {
		return err
	}
	if n := len(b.Records); n > 0 {
		p.finish(s, min(b.Records[n-1].Origin.Offset+1, to))
	}
	if len(s.buffer) < repairBytes {
		return nil
	}
	return s.flush(ctx)
}

// flushEntry ends the open entry and stores everything gathered.
func (s *Step) flushEntry(ctx context.Context, p *partition, to int64) error {
	p.finish(s, to)
	return s.flush(ctx)
}

func (s *Step) repaired(p stream.Partition, from, to int64, how StateLoss) {
	if s.Events.Repaired != nil {
		s.Events.Repaired(p, from, to, how)
	}
}
