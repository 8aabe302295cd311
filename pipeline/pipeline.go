package pipeline

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Run runs a pipeline's workers until ctx ends, which drains them: each finishes its batch, flushes, commits and leaves
// the group. It returns early only if the pipeline cannot be built, or halts (stream.ErrHalt, stream.ErrFailed).
func Run(ctx context.Context, spec *Spec) error {
	g, gx := errgroup.WithContext(ctx)
	for i := range max(spec.Workers, 1) {
		w, release, err := newWorker(ctx, spec, i)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			defer release()
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
