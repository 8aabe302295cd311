package pipeline

import (
	"context"
	"errors"

	"github.com/streamproc/streamproc/stream"
)

// Predicate says whether a record is wanted. It is called by one worker's goroutine.
type Predicate interface {
	Match(r *stream.Record) (bool, error)
}

// Filter is the step that keeps the records that Keep matches. An error is the record's own: it is not "false".
type Filter struct {
	Name string
	Keep Predicate
}

// Process implements Step.
func (f *Filter) Process(_ context.Context, b *stream.Batch) error {
	for i := range b.Records {
		switch keep, err := f.Keep.Match(&b.Records[i]); {
		case err != nil:
			b.Fail(i, CauseOf(f.Name, err))
		case !keep:
			b.Settle(i, stream.Filtered)
		}
	}
	return nil
}

// CauseOf makes the cause of a dead letter out of the error of an expression or a field. An error with a method
// Reason() stream.Reason says its reason itself.
func CauseOf(step string, err error) *stream.Cause {
	c := &stream.Cause{Step: step, Reason: stream.ReasonError, Message: err.Error()}
	var r interface{ Reason() stream.Reason }
	if errors.As(err, &r) {
		c.Reason = r.Reason()
	}
	return c
}
