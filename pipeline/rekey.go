package pipeline

import (
	"context"

	"github.com/streamproc/streamproc/stream"
)

// headerKey holds a record's own key while it is under another.
const headerKey = "sp-key"

// Rekey is the step that gives records the key by which they come together in one partition of an internal topic.
type Rekey struct {
	Name string
	Key  func(*stream.Record) ([]byte, error)
}

// Process implements Step.
func (s *Rekey) Process(_ context.Context, b *stream.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		key, err := s.Key(r)
		if err != nil {
			b.Fail(i, CauseOf(s.Name, err))
			continue
		}
		r.SetHeader(headerKey, r.Key)
		r.Key = key
	}
	return nil
}

// Restore is the step that gives records of an internal topic their own key back.
type Restore struct{}

// Process implements Step.
func (Restore) Process(_ context.Context, b *stream.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		key, ok := r.Header(headerKey)
		if !ok {
			continue // somebody else has written it
		}
		r.Key = key
		if n := len(r.Headers); r.Headers[n-1].Key == headerKey {
			r.Headers = r.Headers[: n-1 : n-1]
		}
	}
	return nil
}
