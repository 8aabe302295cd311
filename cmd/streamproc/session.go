package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/pipeline"
)

// session is one run of dev.
type session struct {
	o      devOptions
	cfg    *config.Config
	stack  *devstack.Stack
	daemon *daemon.Daemon
	feed   *feed
	show   *show
	clock  clock
}

// clock is the wall clock, which can be moved on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

const (
	lookEvery   = 20 * time.Millisecond  // how often the account is looked at
	showEvery   = 250 * time.Millisecond // how often progress is shown on a terminal
	settleLimit = 5 * time.Second        // how long what was written is waited for
	pastTheWait = time.Second            // how far the clock is moved beyond the longest wait
)

func (s *session) run(ctx context.Context) error {
	running, drain := context.WithCancel(ctx)
	defer drain()
	tailing, untail := context.WithCancel(context.WithoutCancel(ctx))
	defer untail()
	var wg sync.WaitGroup
	var ended, tailed error
	wg.Go(func() {
		ended = s.daemon.Run(running)
		drain() // where it ends by itself, there is nothing to wait for
	})
	var tails sync.WaitGroup
	tails.Go(func() { tailed = devstack.Tail(tailing, s.stack.Brokers(), s.show.topics(), s.show.record) })
	tails.Go(func() { s.progress(tailing) })
	err := s.feedAndWait(running)
	if err != nil && (ctx.Err() == nil && running.Err() != nil || ctx.Err() != nil && !s.o.once) {
		err = nil // the daemon says why it has ended, or somebody had enough
	}
	drain()
	wg.Wait()
	s.settle(tailing)
	untail()
	tails.Wait()
	return errors.Join(err, ended, tailed, s.show.account(s.cfg.Pipelines, s.daemon.Status()))
}

// feedAndWait returns when the feed has come through, with --once; else when ctx ends. A read of stdin cannot be
// interrupted: where it waits, it ends with the process.
func (s *session) feedAndWait(ctx context.Context) error {
	type result struct {
		fed int
		err error
	}
	through := make(chan result, 1)
	go func() {
		fed, err := devstack.Feed(ctx, s.stack.Brokers(), s.inputs(), s.feed.records, s.o.rate)
		through <- result{fed, errors.Join(err, s.feed.err)}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-through:
		if r.err != nil {
			return r.err
		}
		return s.wait(ctx, int64(r.fed))
	}
}

// inputs are the topics that are fed: the first of each pipeline.
func (s *session) inputs() (topics []string) {
	for _, p := range s.cfg.Pipelines {
		if t := p.Source.Topics[0]; !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	return topics
}

func (s *session) progress(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(showEvery):
			s.show.progress(s.feed.count.Load(), s.daemon.Status())
		}
	}
}

// wait returns when the feed has come through, with --once; else when ctx ends.
func (s *session) wait(ctx context.Context, fed int64) error {
	if !s.o.once {
		s.show.say("the feed is through; INT (ctrl-C) drains and shows the account")
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.timeout, fmt.Errorf("the feed was not through after %v", s.o.timeout))
	defer cancel()
	if err := s.until(ctx, func(c pipeline.Counts) bool { return c.In >= fed }); err != nil {
		return err
	}
	s.release()
	return s.until(ctx, func(c pipeline.Counts) bool { return c.Held == 0 })
}

// until waits for a condition of every pipeline's ledger.
func (s *session) until(ctx context.Context, is func(pipeline.Counts) bool) error {
	for {
		all := true
		for _, st := range s.daemon.Status() {
			if st.State == pipeline.Halted {
				return nil // the daemon says why
			}
			all = all && is(st.Ledger)
		}
		if all {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return errors.New("it ended before the feed was through")
		case <-time.After(lookEvery):
		}
	}
}

// release moves the clock on where records wait for earlier ones that will not come any more.
func (s *session) release() {
	var held int64
	for _, st := range s.daemon.Status() {
		held += st.Ledger.Held
	}
	if held == 0 {
		return
	}
	var longest time.Duration
	for _, p := range s.cfg.Pipelines {
		for _, st := range p.Steps {
			if st.Reorder != nil {
				longest = max(longest, st.Reorder.MaxWait, st.Reorder.IdleTimeout)
			}
		}
	}
	s.show.say(fmt.Sprintf("the feed is through, and %s for earlier ones that might come. The clock was moved on by %v, past every "+
		"max_wait and idle_timeout, so that they go on; a daemon waits for real", plural(held, "record waits", "records wait"), short(longest)))
	s.clock.ahead.Store(int64(longest + pastTheWait))
}

// settle waits until the tail has seen what the ledgers say was written.
func (s *session) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var want int64
	for _, st := range s.daemon.Status() {
		for _, n := range st.Outputs {
			want += n
		}
	}
	for s.show.total() < want && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}
