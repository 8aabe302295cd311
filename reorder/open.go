package reorder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/streamproc/streamproc/stream"
)

// Open takes the partition over at the last committed checkpoint. What the store has forgotten is derived again.
func (s *Sequence) Open(ctx context.Context, a stream.Assignment) error {
	key := stream.StateKey{Partition: a.Partition, TopicID: a.TopicID}
	l := newLane(key, max(a.Commit.Head, a.Commit.Floor), a.Commit.Nonce, s.Now(), s.ForgetAfter)
	if a.Commit.Floor >= 0 {
		l.clock, l.logTime = a.Commit.Watermark, parseNote(a.Commit.Note).logTime
	}
	if err := s.takeOver(ctx, l, a); err != nil {
		return fmt.Errorf("reorder step %s: opening partition %s: %w", s.Name, a.Partition, err)
	}
	s.lanes[a.Partition] = l
	return nil
}

func (s *Sequence) takeOver(ctx context.Context, l *lane, a stream.Assignment) error {
	var b [8]byte
	rand.Read(b[:])
	token := hex.EncodeToString(b[:])
	err := s.Store.Recover(ctx, l.key, token, l.nonce)
	switch {
	case err != nil && !errors.Is(err, stream.ErrLost):
		return fmt.Errorf("recovering checkpoint %q: %w", l.nonce, err)
	case err == nil && (a.Commit.Floor < 0 || l.nonce != ""):
		return nil
	}
	// Either the store has forgotten, or this worker is late: one that stood still since its assignment may not touch what
	// the owner has stored meanwhile.
	now, err := a.History.Committed(ctx)
	if err != nil {
		return fmt.Errorf("asking for the commit again: %w", err)
	}
	if now.Nonce != l.nonce || now.Floor >= 0 && a.Commit.Floor < 0 {
		return fmt.Errorf("the commit has moved on from checkpoint %q to %q: %w", l.nonce, now.Nonce, stream.ErrStale)
	}
	if a.Commit.Floor < 0 { // state of an earlier life of the group: nothing is committed that needs it
		return s.restore(ctx, l, token, map[string]*keyState{})
	}
	return s.repair(ctx, l, token, a)
}

// repair does what the policy says about state that the store has forgotten.
func (s *Sequence) repair(ctx context.Context, l *lane, token string, a stream.Assignment) error {
	keys := map[string]*keyState{}
	switch s.OnStateLoss {
	case Halt:
		return fmt.Errorf("the store has forgotten checkpoint %q: %w", l.nonce, stream.ErrHalt)
	case Rebuild:
		var err error
		if keys, err = s.derive(ctx, l, a); err != nil {
			return fmt.Errorf("deriving the next sequences again: %w", err)
		}
	}
	if err := s.restore(ctx, l, token, keys); err != nil {
		return err
	}
	if s.Events.Rebuilt != nil {
		s.Events.Rebuilt(a.Partition, len(keys), s.OnStateLoss)
	}
	return nil
}

func (s *Sequence) restore(ctx context.Context, l *lane, token string, keys map[string]*keyState) error {
	err := s.Store.Restore(ctx, l.key, token, l.nonce, func(yield func(string, stream.Next) bool) {
		for name, k := range keys {
			if k.known && !yield(name, k.place()) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("restoring %d keys: %w", len(keys), err)
	}
	return nil
}

// derive finds the next sequence of every key from the retained log.
//
// Below the floor everything is settled, and every gap that has ended lies there with it, so next is above the greatest
// sequence of the key. The records of [floor, head) were polled before the commit and get their turns again; what then
// waits must be what the commit says was held. It is not if the log below the floor no longer shows a key that was there,
// or if a step before this one is not what it was: then only an operator can say how to go on.
func (s *Sequence) derive(ctx context.Context, l *lane, a stream.Assignment) (map[string]*keyState, error) {
	d := &derivation{floor: a.Commit.Floor}
	d.step = Sequence{Config: s.Config}
	d.step.Events = Events{}
	d.lane = newLane(l.key, math.MaxInt64, "", s.Now(), s.ForgetAfter)
	d.step.lanes = map[stream.Partition]*lane{a.Partition: d.lane}
	start, err := a.History.Replay(ctx, -1, l.head, d.visit)
	if err != nil {
		return nil, err
	}
	if start > a.Commit.Floor && a.Commit.Floor < l.head {
		return nil, fmt.Errorf("the log is retained from offset %d only, and the floor is %d: %w", start, a.Commit.Floor, stream.ErrHalt)
	}
	want, n := parseNote(a.Commit.Note), len(d.lane.floor.inputs)
	if want.whole && (n != want.held || d.lane.floor.sum != want.sum) {
		return nil, fmt.Errorf("the log gives %d records that wait, and %d did at the commit of floor %d: what is retained below the floor does not "+
			"tell all keys, or a step before this one has changed; on_state_loss: accept starts every key again: %w", n, want.held, a.Commit.Floor, stream.ErrHalt)
	}
	return d.lane.keys, nil
}

// derivation is a step at work on the past. Time stands still in it.
type derivation struct {
	step  Sequence
	lane  *lane
	floor int64
}

func (d *derivation) visit(b *stream.Batch) error {
	now := d.step.Now()
	d.step.out.reset(b)
	defer d.step.out.finish()
	for i := range b.Records {
		r := &b.Records[i]
		k, sequence, err := d.step.place(d.lane, r)
		if err != nil {
			d.step.out.keep(i)
			continue
		}
		if d.lane.over(rebuildKeysLimit, rebuildNamesLimit) {
			return fmt.Errorf("there are %d keys of %d bytes, more than fit into memory (%d keys, %d bytes); on_state_loss: accept starts every key again: %w",
				len(d.lane.keys), d.lane.names, rebuildKeysLimit, rebuildNamesLimit, stream.ErrHalt)
		}
		d.lane.enter(r.Origin.Offset)
		d.lane.observe(r.Timestamp, now)
		if !k.loaded || d.lane.stale(k) {
			d.step.renew(k)
		}
		d.lane.touch(k, now)
		if r.Origin.Offset >= d.floor {
			d.step.offer(d.lane, i, turn{k, sequence}, now)
		} else if !k.known || sequence >= k.next {
			k.known, k.next = true, sequence+1
		}
	}
	return nil
}

// Prepare stores what changed since the last commit, under the nonce that the next one will name.
func (s *Sequence) Prepare(ctx context.Context, nonce string, ps []stream.Partition) error {
	redos := make([]stream.Redo, 0, len(ps))
	for _, p := range ps {
		l := s.lanes[p]
		if l == nil {
			return fmt.Errorf("reorder step %s: partition %s was not opened", s.Name, p)
		}
		r := stream.Redo{Key: l.key, Prev: l.nonce, Nonce: nonce, Keys: make([]string, len(l.dirty)), Next: make([]stream.Next, len(l.dirty)),
			Oldest: l.forgotten()}
		l.prepared = l.below()
		for i, k := range l.dirty {
			r.Keys[i], r.Next[i] = k.name, k.place()
		}
		redos = append(redos, r)
	}
	if err := s.Store.Step(ctx, redos); err != nil {
		return fmt.Errorf("reorder step %s: storing checkpoint %s: %w", s.Name, nonce, err)
	}
	for i := range redos {
		if err := redos[i].Err; err != nil {
			return fmt.Errorf("reorder step %s: storing checkpoint %s of partition %s: %w", s.Name, nonce, redos[i].Key.Partition, err)
		}
	}
	return nil
}

// Committed makes the checkpoint the one that the next follows.
func (s *Sequence) Committed(nonce string, ps []stream.Partition) {
	for _, p := range ps {
		l := s.lanes[p]
		if l == nil {
			continue
		}
		l.nonce, l.committed = nonce, l.prepared
		for i, k := range l.dirty {
			k.dirty = false
			l.dirty[i] = nil
		}
		l.dirty = l.dirty[:0]
		l.trim()
	}
}
