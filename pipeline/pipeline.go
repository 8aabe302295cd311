package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/streamproc/streamproc/stream"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Spec is a pipeline, built: everything a worker needs to run it.
type Spec struct {
	Name           string
	Workers        int
	CommitInterval time.Duration
	Limits         Limits
	Pace           *rate.Limiter // records a second, of all workers together; nil: as fast as they go
	Outputs        []Output      // Output i is stream.Sink(i+1)
	Sink           stream.Sink   // where records go that no route has sent elsewhere
	DeadLetters    stream.Sink
	Events         Events
	Ledger         *Ledger
	// Dial makes the client of one membership of a worker.
	Dial func(worker int) (Client, error)
	// Build makes the stages of a worker, which last until Replace gives it others, or as long as the worker does.
	Build Build
	// Now is the clock of steps that watch time; nil is time.Now.
	Now func() time.Time
	// Ready returns nil once the dependencies of the steps answer. It is asked again while a worker is stalled.
	Ready func(ctx context.Context) error

	crew crew
}

// Output is one sink as the flow sees it.
type Output struct {
	Name string
	Key  func(*stream.Record) ([]byte, error) // nil: the record's own key
}

func (s *Spec) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Run runs a pipeline's workers until ctx ends, which drains them: each finishes its batch, flushes, commits and leaves
// the group. It returns early only if the pipeline cannot be built, or halts (stream.ErrHalt, stream.ErrFailed).
func Run(ctx context.Context, spec *Spec) error {
	g, gx := errgroup.WithContext(ctx)
	for i := range max(spec.Workers, 1) {
		w, err := spec.hire(ctx, i)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			defer w.retire()
			err := w.run(gx)
			switch {
			case err != nil && final(err):
				spec.Events.state(i, Halted, err.Error())
			case err != nil:
				spec.Events.state(i, Stopped, err.Error())
			default:
				spec.Events.state(i, Stopped, "")
			}
			return err
		})
	}
	return g.Wait()
}
