package reorder

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Sequence puts the records of each key in the order of their sequence numbers.
type Sequence struct {
	Config
	lanes   map[stream.Partition]*lane
	out     output
	turns   []turn // of the records of this batch
	queries []stream.NextQuery
}

// turn is the place of one record: its key and sequence, or no key if it has none.
type turn struct {
	key      *keyState
	sequence int64
}

var errNoKey = errors.New("the record has no key")
var errSequence = errors.New("the sequence is out of range")

// NewSequence checks the configuration and returns a step without partitions.
func NewSequence(c Config) (*Sequence, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if c.Key == nil || c.Sequence == nil || c.Store == nil {
		return nil, fmt.Errorf("reorder step %s: key, sequence and store are required", c.Name)
	}
	return &Sequence{Config: c, lanes: map[stream.Partition]*lane{}}, nil
}

// Process releases what is in turn and holds what is not.
func (s *Sequence) Process(ctx context.Context, b *stream.Batch) error {
	now := s.Now()
	for _, span := range b.Spans {
		if l := s.lanes[span.Partition]; l != nil {
			l.seen, l.polled = now, span.To
		}
	}
	if err := s.read(b); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.order(b, now)
}

// read finds key and sequence of every record, and notes the keys that are not known yet.
func (s *Sequence) read(b *stream.Batch) error {
	s.turns, s.queries = s.turns[:0], s.queries[:0]
	for i := range b.Records {
		r := &b.Records[i]
		l := s.lanes[r.Origin.Partition]
		if l == nil {
			return fmt.Errorf("reorder step %s: partition %s was not opened", s.Name, r.Origin.Partition)
		}
		k, sequence, err := s.place(l, r)
		if err != nil {
			b.Fail(i, s.cause(err))
		} else if !k.loaded {
			s.ask(l, k)
		}
		s.turns = append(s.turns, turn{k, sequence})
	}
	return nil
}

func (s *Sequence) place(l *lane, r *stream.Record) (*keyState, int64, error) {
	name, err := s.Key(r)
	if err != nil {
		return nil, 0, err
	}
	if name == nil {
		return nil, 0, errNoKey
	}
	k := l.state(name)
	sequence, err := s.Sequence(r)
	if err != nil {
		return nil, 0, err
	}
	if sequence == math.MaxInt64 { // there is none after it
		return nil, 0, errSequence
	}
	return k, sequence, nil
}

func (s *Sequence) ask(l *lane, k *keyState) {
	if l.query < 0 || l.query >= len(s.queries) || s.queries[l.query].Key != l.key {
		l.query = len(s.queries)
		s.queries = append(s.queries, stream.NextQuery{Key: l.key, Nonce: l.nonce})
	}
	q := &s.queries[l.query]
	q.Keys = append(q.Keys, k.name)
	k.loaded = true
}

// load asks the store for the keys of this batch that were not seen before.
func (s *Sequence) load(ctx context.Context) error {
	if len(s.queries) == 0 {
		return nil
	}
	for i := range s.queries {
		q := &s.queries[i]
		q.Next, q.Found = make([]stream.Next, len(q.Keys)), make([]bool, len(q.Keys))
	}
	if err := s.Store.Next(ctx, s.queries); err != nil {
		return fmt.Errorf("reorder step %s: looking up the next sequences of %d partitions: %w", s.Name, len(s.queries), err)
	}
	for i := range s.queries {
		q := &s.queries[i]
		if q.Err != nil {
			return fmt.Errorf("reorder step %s: looking up %d keys of partition %s: %w", s.Name, len(q.Keys), q.Key.Partition, q.Err)
		}
		for j, name := range q.Keys {
			s.baseline(s.lanes[q.Key.Partition].keys[name], q.Next[j], q.Found[j])
		}
	}
	return nil
}

// unsettled is the sequence of a key that has to settle. No record's next is so low.
const unsettled = math.MinInt64

// baseline sets where a key stands.
func (s *Sequence) baseline(k *keyState, at stream.Next, found bool) {
	if !found {
		s.renew(k)
		return
	}
	k.loaded, k.next, k.known, k.seen = true, at.Sequence, at.Sequence != unsettled, at.Seen
}

// renew makes a key a new one: it starts at First, or has to settle.
func (s *Sequence) renew(k *keyState) {
	k.loaded, k.next, k.known = true, s.First, !s.Any
}

// place is where a key stands, for the store.
func (k *keyState) place() stream.Next {
	if !k.known {
		return stream.Next{Sequence: unsettled, Seen: k.seen}
	}
	return stream.Next{Sequence: k.next, Seen: k.seen}
}

// order gives every record of the batch its turn.
func (s *Sequence) order(b *stream.Batch, now time.Time) error {
	s.out.reset(b)
	defer s.out.finish()
	for i := range b.Records {
		if s.turns[i].key == nil {
			s.out.keep(i)
			continue
		}
		l := s.lanes[b.Records[i].Origin.Partition]
		s.meet(l, &b.Records[i], s.turns[i].key, now)
		s.offer(l, i, s.turns[i], now)
		if i+1 < len(b.Records) && b.Records[i+1].Origin == b.Records[i].Origin {
			continue // gaps end between inputs, so that each decision lies below the floor
		}
		if err := s.expire(l, i, now); err != nil {
			return err
		}
	}
	return nil
}

// meet lets a record move log time, and makes its key a new one if it was forgotten. What is read again met its key before,
// and the store knows what came of that.
func (s *Sequence) meet(l *lane, r *stream.Record, k *keyState, now time.Time) {
	l.enter(r.Origin.Offset)
	l.observe(r.Timestamp, now)
	if r.Origin.Offset >= l.head && l.stale(k) {
		s.renew(k)
	}
	l.touch(k, now)
}

// offer takes record i: it goes on, waits, or is settled.
func (s *Sequence) offer(l *lane, i int, t turn, now time.Time) {
	b, k := s.out.batch, t.key
	reread := b.Records[i].Origin.Offset < l.head
	_, waits := k.have[t.sequence]
	switch {
	case k.known && t.sequence == k.next:
		l.advance(k, t.sequence+1)
		s.out.keep(i)
		s.run(l, k, i, now)
	case k.known && t.sequence < k.next && !reread:
		s.late(b, i)
		s.out.keep(i)
	case k.known && t.sequence < k.next, waits && reread:
		b.Settle(i, stream.Replayed)
		s.out.keep(i)
	case waits:
		b.Settle(i, stream.Duplicate)
		s.out.keep(i)
	default:
		l.add(s.out.hold(i), k, t.sequence, s.MaxWait, now)
	}
}

// run releases what is in turn now.
func (s *Sequence) run(l *lane, k *keyState, i int, now time.Time) {
	for k.wait.len() > 0 && k.wait.top().order == k.next {
		l.advance(k, k.next+1)
		s.release(l.take(k), i, now)
	}
}

func (s *Sequence) release(h *held, i int, now time.Time) {
	s.waited(h, now)
	s.out.release(h, i)
}

// expire ends the gaps whose time is over, and the oldest ones while more is held than allowed. It goes from the lowest
// offset that is held upwards, and takes an input as a whole: what it decides about lies below the floor of the next
// commit, where derive finds it again.
func (s *Sequence) expire(l *lane, i int, now time.Time) error {
	ended := int64(-1)
	for h := l.oldest(); h != nil; h = l.oldest() {
		forced := l.count > s.MaxBuffered || l.bytes > s.MaxBytes
		if h.deadline > l.clock && !forced && h.record.Origin.Offset != ended {
			return nil
		}
		ended = h.record.Origin.Offset
		if err := s.endGap(l, h, i, now, forced && h.deadline > l.clock); err != nil {
			return err
		}
	}
	return nil
}

// endGap decides about the gap before h. The decision is part of the checkpoint: next moves past the gap.
func (s *Sequence) endGap(l *lane, h *held, i int, now time.Time, forced bool) error {
	k := h.key
	if !k.known { // the key has settled
		k.known = true
		l.advance(k, k.wait.top().order)
		s.run(l, k, i, now)
		return nil
	}
	if s.OnGap == HaltAtGap {
		return fmt.Errorf("reorder step %s: sequence %d of a key of partition %s did not come, and %s waits for it: %w",
			s.Name, k.next, l.key.Partition, h.record.Origin, stream.ErrHalt)
	}
	s.gap(l, forced)
	if s.OnGap == DeadLetters {
		for !h.gone {
			d := l.take(k)
			l.advance(k, d.order+1)
			d.record.Fate = stream.DeadLettered
			d.record.Cause = &stream.Cause{Step: s.Name, Reason: stream.ReasonGap, Message: "a sequence before it did not come in time"}
			s.out.release(d, i)
		}
		s.run(l, k, i, now)
		return nil
	}
	for !h.gone {
		l.advance(k, k.wait.top().order)
		s.run(l, k, i, now)
	}
	return nil
}

func (s *Sequence) gap(l *lane, forced bool) {
	if s.Events.Gap == nil {
		return
	}
	action := string(s.OnGap)
	if forced {
		action = "forced"
	}
	s.Events.Gap(l.key.Partition, action)
}

// Tick ends gaps as time passes.
func (s *Sequence) Tick(_ context.Context, b *stream.Batch, now time.Time, caughtUp func(stream.Partition) bool) error {
	s.out.reset(b)
	defer s.out.finish()
	for p, l := range s.lanes {
		if l.count == 0 || !caughtUp(p) {
			continue
		}
		l.idle(now)
		if err := s.expire(l, -1, now); err != nil {
			return err
		}
	}
	return nil
}

// Held returns how many inputs wait, and the lowest of their offsets.
func (s *Sequence) Held(p stream.Partition) (int, int64) {
	l := s.lanes[p]
	if l == nil {
		return 0, 0
	}
	return l.floor.lowest()
}

// Oldest returns since when the lowest held offset of p waits, or the zero time.
func (s *Sequence) Oldest(p stream.Partition) time.Time {
	if l := s.lanes[p]; l != nil {
		return l.floor.oldest()
	}
	return time.Time{}
}

// Note returns the log time that patience counts from and, once everything polled before this membership is polled again,
// what is held.
func (s *Sequence) Note(p stream.Partition) string {
	l := s.lanes[p]
	if l == nil {
		return ""
	}
	return l.note(s.MaxWait).String()
}

// Watermark returns the stream time up to which gaps were decided.
func (s *Sequence) Watermark(p stream.Partition) int64 {
	if l := s.lanes[p]; l != nil {
		return l.clock
	}
	return math.MinInt64
}

// Close forgets a partition.
func (s *Sequence) Close(p stream.Partition) { delete(s.lanes, p) }
