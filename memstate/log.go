package memstate

import (
	"bytes"
	"context"
	"fmt"

	"github.com/streamproc/streamproc/stream"
)

// partitionLog is the log of one partition.
type partitionLog struct {
	token    string
	secret   []byte
	head     int64 // -1 if there is none
	first    int64
	segments map[int64][]byte
}

func (l *partitionLog) last() int64 {
	last := l.first - 1
	for n := range l.segments {
		last = max(last, n)
	}
	return last
}

// Take makes token the writer of a partition log and says what there is.
func (s *Space) Take(_ context.Context, key stream.StateKey, token string, secret []byte) (stream.LogState, error) {
	defer s.lock()()
	l := s.logs[key]
	if l == nil {
		l = &partitionLog{secret: bytes.Clone(secret), head: -1, first: 1, segments: map[int64][]byte{}}
		s.logs[key] = l
	}
	l.token = token
	st := stream.LogState{Head: l.head, First: l.first, Secret: bytes.Clone(l.secret)}
	for n := l.first; n <= l.last(); n++ {
		st.Lengths = append(st.Lengths, int64(len(l.segments[n])))
	}
	return st, nil
}

// Read returns part of a segment.
func (s *Space) Read(_ context.Context, key stream.StateKey, segment, from int64, n int) ([]byte, error) {
	defer s.lock()()
	l := s.logs[key]
	if l == nil {
		return nil, nil
	}
	b := l.segments[segment]
	from = min(from, int64(len(b)))
	return bytes.Clone(b[from:min(from+int64(n), int64(len(b)))]), nil
}

// Append adds entries to partition logs.
func (s *Space) Append(_ context.Context, entries []stream.LogAppend) error {
	defer s.lock()()
	for i := range entries {
		e := &entries[i]
		e.Err = s.logs[e.Key].append(e)
	}
	return nil
}

func (l *partitionLog) append(e *stream.LogAppend) error {
	if l == nil {
		return fmt.Errorf("there is no log: %w", stream.ErrLost)
	}
	if l.token != e.Token {
		return stream.ErrStale
	}
	b := l.segments[e.Segment]
	if l.head >= e.To && int64(len(b)) >= e.Length+int64(len(e.Data)) && bytes.Equal(b[e.Length:e.Length+int64(len(e.Data))], e.Data) {
		return nil // the answer of an earlier try was lost
	}
	head := l.head
	if head < 0 && e.Init {
		head = e.From
	}
	switch {
	case head < e.From || (head == e.From && int64(len(b)) < e.Length):
		return fmt.Errorf("the log ends at %d: %w", head, stream.ErrLost)
	case head > e.From || int64(len(b)) > e.Length:
		return fmt.Errorf("the log ends at %d: %w", head, stream.ErrStale)
	}
	l.segments[e.Segment] = append(b, e.Data...)
	l.head, l.first = e.To, e.First
	for n := range l.segments {
		if n < e.First {
			delete(l.segments, n)
		}
	}
	return nil
}

// Cut ends a partition log.
func (s *Space) Cut(_ context.Context, key stream.StateKey, token string, segment, length, head int64) error {
	defer s.lock()()
	l := s.logs[key]
	switch {
	case l == nil:
		return fmt.Errorf("there is no log: %w", stream.ErrLost)
	case l.token != token:
		return stream.ErrStale
	}
	for n, b := range l.segments {
		if n > segment {
			delete(l.segments, n)
		} else if n == segment {
			l.segments[n] = bytes.Clone(b[:min(length, int64(len(b)))])
		}
	}
	l.head = head
	if head < 0 {
		l.first = 1
	}
	return nil
}
