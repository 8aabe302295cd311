package guesttest

import (
	"context"

	"github.com/streamproc/streamproc/stream"
)

// Shelf is a store in memory that a plugin may read. One that is Away does not answer.
type Shelf struct {
	Values map[string]string
	Away   bool
}

// Get implements runtime.Lookups.
func (s *Shelf) Get(_ context.Context, keys []string, _ int, tell func(int, []byte, error)) error {
	if s.Away {
		return stream.ErrUnavailable
	}
	for i, k := range keys {
		if v, ok := s.Values[k]; ok {
			tell(i, []byte(v), nil)
		} else {
			tell(i, nil, nil)
		}
	}
	return nil
}
