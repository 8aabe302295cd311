package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Build makes the stages of one worker; release lets go of what they hold.
type Build = func(ctx context.Context, worker int) (stages []Stage, release func(), err error)

// crew are the workers of a pipeline that runs, and what those that are still to come are built with. The zero value has
// nobody.
type crew struct {
	mu    sync.Mutex
	build Build // nil: that of the Spec
	posts []*post
}

// post is where a worker takes new stages from.
type post struct {
	next chan *set     // nobody is given what he does not take
	gone chan struct{} // closed when the worker has ended
}

// set is what one worker is to work with.
type set struct {
	stages  []Stage
	release func()
	taken   chan struct{} // closed when it is in its place, and what was there is released
}

// Replace gives each worker new stages between two checkpoints, within the membership that it has, so that what a
// checkpoint commits was made by one generation of steps. build makes stages of the same names and in the same order as
// those that are there; steps with state stay the ones that they are. It returns when every worker has its own; an error
// means that nothing has changed.
func (s *Spec) Replace(ctx context.Context, build Build) error {
	sets, err := s.sets(ctx, build)
	if err != nil {
		return err
	}
	s.crew.mu.Lock()
	s.crew.build = build
	posts := slices.Clone(s.crew.posts)
	s.crew.mu.Unlock()
	var wg sync.WaitGroup
	for i, next := range sets {
		if i >= len(posts) { // whoever comes later builds its own
			next.release()
			continue
		}
		wg.Go(func() { posts[i].give(next) })
	}
	wg.Wait()
	return nil
}

// sets builds the stages of all workers, or none.
func (s *Spec) sets(ctx context.Context, build Build) (sets []*set, err error) {
	for i := range max(s.Workers, 1) {
		stages, release, failed := build(ctx, i)
		if failed != nil {
			err = errors.Join(err, failed)
			break
		}
		sets = append(sets, &set{stages, release, make(chan struct{})})
	}
	if err != nil {
		for _, made := range sets {
			made.release()
		}
		return nil, err
	}
	return sets, nil
}

func (p *post) give(next *set) {
	select {
	case p.next <- next:
		<-next.taken
	case <-p.gone:
		next.release()
	}
}

// hire makes worker number of the pipeline, with the stages that are wanted now.
func (s *Spec) hire(ctx context.Context, number int) (*Worker, error) {
	s.crew.mu.Lock()
	defer s.crew.mu.Unlock()
	build := s.crew.build
	if build == nil {
		build = s.Build
	}
	w, err := newWorker(ctx, s, number, build)
	if err == nil {
		s.crew.posts = append(s.crew.posts[:number], w.post)
	}
	return w, err
}

// retire lets go of what the worker's stages hold.
func (w *Worker) retire() {
	close(w.post.gone)
	w.release()
}

// renew ends the checkpoint and takes new stages.
func (w *Worker) renew(ctx context.Context, next *set) error {
	err := w.checkpoint(ctx) // where it fails, nothing of it remains, and the new stages do it again
	w.adopt(next)
	return err
}

// adopt takes new stages while nothing is on its way through the old ones. Those with state stay, or are succeeded.
func (w *Worker) adopt(next *set) {
	for i := range next.stages {
		if s, ok := as[Successor](next.stages[i].Step); ok {
			s.Succeed(w.stages[i].Step)
		} else if _, ok := as[Stateful](next.stages[i].Step); ok {
			next.stages[i].Step = w.stages[i].Step
		}
	}
	release := w.release
	w.stages, w.release = next.stages, next.release
	release()
	close(next.taken)
}
