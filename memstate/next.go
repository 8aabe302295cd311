package memstate

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/streamproc/streamproc/stream"
)

// nextTable is the next sequence of every key of one partition, as of the checkpoint named applied.
type nextTable struct {
	token   string
	applied string
	next    map[string]stream.Next
	redo    map[string]stream.Redo
}

func (s *Space) table(key stream.StateKey) *nextTable {
	t := s.next[key]
	if t == nil {
		t = &nextTable{next: map[string]stream.Next{}, redo: map[string]stream.Redo{}}
		s.next[key] = t
	}
	return t
}

// apply makes the checkpoint named nonce the state, if it is not already: it must be here, and follow the one before.
func (t *nextTable) apply(nonce string) error {
	if t.applied == nonce {
		return nil
	}
	r, ok := t.redo[nonce]
	if !ok {
		return fmt.Errorf("checkpoint %q is not in the store, which has applied %q: %w", nonce, t.applied, stream.ErrLost)
	}
	if r.Prev != t.applied {
		return fmt.Errorf("checkpoint %q follows %q, and the store has applied %q: %w", nonce, r.Prev, t.applied, stream.ErrLost)
	}
	for i, k := range r.Keys {
		if old, ok := t.next[k]; !ok || old.Before(r.Next[i]) {
			t.next[k] = r.Next[i]
		}
	}
	delete(t.redo, nonce)
	t.applied = nonce
	return nil
}

// Recover makes token the owner of a partition's state, and the state that of the checkpoint named nonce.
func (s *Space) Recover(_ context.Context, key stream.StateKey, token, nonce string) error {
	defer s.lock()()
	t := s.table(key)
	t.token = token
	return t.apply(nonce)
}

// Next looks keys up.
func (s *Space) Next(_ context.Context, queries []stream.NextQuery) error {
	defer s.lock()()
	for i := range queries {
		q := &queries[i]
		t := s.table(q.Key)
		if q.Err = t.apply(q.Nonce); q.Err != nil {
			continue
		}
		for j, k := range q.Keys {
			q.Next[j], q.Found[j] = t.next[k]
		}
	}
	return nil
}

// Step stores the changes of a checkpoint, and applies those of the one before.
func (s *Space) Step(_ context.Context, redos []stream.Redo) error {
	defer s.lock()()
	for i := range redos {
		r := &redos[i]
		t := s.table(r.Key)
		if r.Err = t.apply(r.Prev); r.Err == nil {
			t.redo[r.Nonce] = keepRedo(r)
			maps.DeleteFunc(t.next, func(_ string, n stream.Next) bool { return n.Seen < r.Oldest })
		}
	}
	return nil
}

// Restore replaces the state of a partition.
func (s *Space) Restore(_ context.Context, key stream.StateKey, token, nonce string, next iter.Seq2[string, stream.Next]) error {
	fresh := maps.Collect(next)
	defer s.lock()()
	t := s.table(key)
	if t.token != token {
		return stream.ErrStale
	}
	t.next, t.applied = fresh, nonce
	return nil
}
