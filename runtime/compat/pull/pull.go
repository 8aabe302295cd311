// Package pull calls guests that are not made to be called: those that run once, from _start to their end, and ask for
// work by a host function that blocks. Such a guest runs as a coroutine, and stands still in that host function while
// there is nothing to do.
package pull

import (
	"context"
	"errors"
	"iter"
)

// ErrExited is a guest that has come to its end, though there may be more to do.
var ErrExited = errors.New("it ended instead of asking for more")

// Run is one run of a guest. Its methods but Wait are for the goroutine that owns the guest.
type Run struct {
	next   func() (struct{}, bool)
	stop   func()
	cancel context.CancelFunc
	yield  func(struct{}) bool
	err    error
}

// stopped unwinds a guest that is not to go on.
type stopped struct{}

func (stopped) Error() string { return "stopped" }

// New prepares a run of start, which is to call _start. It does not run before the first Resume. The values of ctx are
// those of the whole run, its end is not; wrap may add to it.
func New(ctx context.Context, wrap func(context.Context) context.Context, start func(context.Context) error) *Run {
	r := &Run{}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	ctx = wrap(ctx)
	r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
		r.yield = yield
		r.err = start(ctx)
	})
	return r
}

// Resume lets the guest go on until it waits again. An error is the end of the run. If ctx ends before, the run is
// cancelled, which reaches a guest only if its engine looks for it.
func (r *Run) Resume(ctx context.Context) error {
	release := context.AfterFunc(ctx, r.cancel)
	defer release()
	if _, ok := r.next(); ok {
		return nil
	}
	if r.err == nil {
		return ErrExited
	}
	return r.err
}

// Wait is called by the host function in which the guest asks for work: it returns with the next Resume. If the run is
// stopped it does not return: it panics, which ends the guest's call.
func (r *Run) Wait() {
	if !r.yield(struct{}{}) {
		panic(stopped{})
	}
}

// Stop ends the run, wherever the guest stands.
func (r *Run) Stop() {
	r.stop()
	r.cancel()
}
