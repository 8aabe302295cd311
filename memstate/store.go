// Package memstate keeps the state of steps in the memory of the process: for dev, and for tests. It gives the same
// answers as redisstate, and forgets everything when the process ends; what a step then needs is derived from Kafka.
package memstate

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/streamproc/streamproc/stream"
)

// Store is the state of all pipelines of a process. It may be used by several goroutines.
type Store struct {
	mu     sync.Mutex
	spaces map[name]*Space
}

type name struct{ pipeline, step string }

// New returns an empty store.
func New() *Store { return &Store{spaces: map[name]*Space{}} }

// Space is the state of one step. It is the store of a dedup or a reorder step.
type Space struct {
	mu   *sync.Mutex
	logs map[stream.StateKey]*partitionLog
	next map[stream.StateKey]*nextTable
}

// Space returns the state of a step, which all workers of the process share.
func (s *Store) Space(pipeline, step string) *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := name{pipeline, step}
	if s.spaces[n] == nil {
		s.spaces[n] = &Space{mu: &s.mu, logs: map[stream.StateKey]*partitionLog{}, next: map[stream.StateKey]*nextTable{}}
	}
	return s.spaces[n]
}

func (s *Space) lock() (unlock func()) {
	s.mu.Lock()
	return s.mu.Unlock
}

// Wipe forgets everything, as FLUSHALL does.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, space := range s.spaces {
		clear(space.logs)
		clear(space.next)
	}
}

// Snapshot returns a function that takes the store back to what it is now, as a restart from an old file does.
func (s *Store) Snapshot() (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := map[name]Space{}
	for n, space := range s.spaces {
		saved[n] = space.clone()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for n, space := range s.spaces {
			old := saved[n]
			c := old.clone()
			space.logs, space.next = c.logs, c.next
		}
	}
}

func (s *Space) clone() Space {
	c := Space{logs: map[stream.StateKey]*partitionLog{}, next: map[stream.StateKey]*nextTable{}}
	for k, l := range s.logs {
		d := *l
		d.segments = map[int64][]byte{}
		for n, b := range l.segments {
			d.segments[n] = bytes.Clone(b)
		}
		c.logs[k] = &d
	}
	for k, t := range s.next {
		c.next[k] = &nextTable{token: t.token, applied: t.applied, next: maps.Clone(t.next), redo: maps.Clone(t.redo)}
	}
	return c
}

func keepRedo(r *stream.Redo) stream.Redo {
	c := *r
	c.Keys, c.Next = slices.Clone(r.Keys), slices.Clone(r.Next)
	return c
}
