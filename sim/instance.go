package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
)

// instance is one place where the engine runs: when its host dies, it begins another life on a new one.
type instance struct {
	w    *world
	cfg  *config.Config
	slot int
	r    *rand.Rand
	mu   sync.Mutex
	now  *host
	calm bool
}

const (
	betweenLives = 4 * time.Second // at most, from a death to the next life
	drainOneIn   = 6               // lives that end in good order (all in a gentle world), and at which time at most
	drainWithin  = 90 * time.Second
)

// run lives one life after the other until ctx ends, and then drains.
func (i *instance) run(ctx context.Context) error {
	for life := 1; ctx.Err() == nil; life++ {
		if err := i.live(ctx, life); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(i.r.Int64N(int64(betweenLives)))):
		}
	}
	return nil
}

func (i *instance) live(ctx context.Context, life int) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	h := &host{w: i.w, name: fmt.Sprintf("%d.%d", i.slot, life), kill: end, skew: i.w.plan.skew(i.r), links: map[*link]struct{}{}}
	if h.skew != 0 {
		i.w.tally.storm("wrong clock")
	}
	i.w.mu.Lock()
	i.w.hosts = append(i.w.hosts, h)
	i.w.mu.Unlock()
	i.mu.Lock()
	if i.now = h; !i.calm {
		h.aim = i.w.plan.next(fmt.Sprint("instance ", i.slot))
	}
	i.mu.Unlock()
	if i.r.IntN(drainOneIn) == 0 || i.w.plan.mood == gentle {
		time.AfterFunc(time.Duration(i.r.Int64N(int64(drainWithin))), i.drain(end))
	}
	go i.renew(ctx, h)
	d, err := daemon.New(ctx, i.cfg, daemon.Options{Logger: slog.New(logger{h: h}), Dial: h.dial, Instance: fmt.Sprint("slot-", i.slot), Now: h.now,
		Client: func(_ int, c pipeline.Client) pipeline.Client { return &membership{c, h} }})
	if err != nil { // it asks the brokers, if the pipeline has a topic of its own
		i.w.trace.add(h.name, "IS NOT BUILT %v", err)
		if i.calmed() {
			return fmt.Errorf("building the engine: %w", err)
		}
		return nil
	}
	i.w.trace.add(h.name, "BEGINS, its clock is wrong by %v", h.skew)
	err = d.Run(ctx)
	i.w.trace.add(h.name, "ENDS %v", err)
	if err != nil && ctx.Err() == nil {
		i.w.tally.halt(err)
	}
	_ = d.Close(context.WithoutCancel(ctx))
	return nil
}

// drain ends a life in good order, as SIGTERM does.
func (i *instance) drain(end func()) func() {
	return func() {
		if !i.calmed() {
			end()
		}
	}
}

func (i *instance) calmed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calm
}

func (i *instance) renew(ctx context.Context, h *host) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(aimPatience / 4):
			h.renew()
		}
	}
}

// becalm ends all faults.
func (i *instance) becalm() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calm = true
	if i.now != nil {
		i.now.calm()
	}
}

// membership passes each call of a worker by its host, where a fault may be waiting for it. What happens between two
// calls, no fault can see.
type membership struct {
	pipeline.Client
	h *host
}

func (m *membership) Poll(ctx context.Context, b *stream.Batch) error {
	if err := m.h.pass("poll", nil); err != nil {
		return err
	}
	if err := m.Client.Poll(ctx, b); err != nil || len(b.Spans) == 0 {
		return err
	}
	m.h.w.trace.add(m.h.name, "polled %v", b.Spans)
	return m.h.pass("polled", nil)
}

func (m *membership) Write(rs []stream.Record) {
	if m.h.pass("write", nil) == nil {
		m.Client.Write(rs)
	}
}

func (m *membership) Flush(ctx context.Context) ([]stream.Record, error) {
	if err := m.h.pass("flush", nil); err != nil {
		return nil, err
	}
	rs, err := m.Client.Flush(ctx)
	if err != nil {
		return rs, err
	}
	return rs, m.h.pass("flushed", nil)
}

func (m *membership) Commit(ctx context.Context, marks []stream.Mark) error {
	if err := m.h.pass("commit", nil); err != nil {
		return err
	}
	err := m.Client.Commit(ctx, marks)
	m.h.w.trace.add(m.h.name, "committed %+v: %v", marks, err)
	if err != nil {
		return err
	}
	return m.h.pass("committed", nil)
}
