package enumerate

import (
	"context"
	"errors"
	"iter"
	"math"
	"strconv"
	"sync"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

var (
	errDead   = errors.New("this instance is dead")
	errFailed = errors.New("the call fails")
	errLost   = errors.New("the answer is lost")
	errFenced = errors.New("another member has the partition")
	part      = stream.Partition{Topic: "in"}
)

const never = math.MaxInt

// schedule is what is to happen, by the number of the call before which it does.
type schedule struct {
	kill   int // the instance that makes this call dies
	fail   int // this call fails, without effect
	lose   int // this call takes effect, and its answer is lost
	wipe   int // the store forgets everything
	pause  int // the instance that makes this call stands still, and another one takes its partition over
	resume int // after so many calls of the others it goes on
}

// system is a pipeline to be tried.
type system struct {
	dedup, reorder bool
	once           bool          // outputs show with the commit
	eager          bool          // outputs show when they are written, not only when they are acknowledged
	batch          int           // records of one poll
	interval       time.Duration // commit interval
}

// world is the broker of one partition and the store, with the scheduler. Instances move one call at a time.
type world struct {
	system
	schedule
	log    []stream.Record
	mem    *memstate.Store
	commit stream.Commit
	floors []int64 // all that were committed
	out    []stream.Record
	dead   []stream.Record
	mended int // repairs of state

	mu         sync.Mutex
	waiting    []*call
	calls      int
	generation int
	owner      *instance
	paused     *instance
	since      int // calls of others since the pause
	instances  []*instance
	wg         sync.WaitGroup
}

// call is one that waits for its turn.
type call struct {
	by   *instance
	name string
	turn chan error // nil: go; errLost: go, and lose the answer; another one: that is the answer
}

// instance is a process with one worker.
type instance struct {
	w    *world
	dead bool
	ends context.CancelFunc
}

// begin starts an instance and gives it the partition.
func (w *world) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{w: w, ends: cancel}
	w.instances = append(w.instances, i)
	w.own(i)
	spec := &pipeline.Spec{Name: "p", Workers: 1, CommitInterval: w.interval, Outputs: []pipeline.Output{{Name: "out"}, {Name: "dead"}}, Sink: 1, DeadLetters: 2,
		Ledger: pipeline.NewLedger(), Limits: pipeline.Limits{ValueBytes: 1 << 20, KeyBytes: 1 << 20, Headers: 100, HeaderBytes: 1 << 20},
		Dial:  func(int) (pipeline.Client, error) { return i.dial() },
		Build: i.build, Ready: func(context.Context) error { return nil }}
	w.wg.Go(func() { _ = pipeline.Run(ctx, spec) })
}

func (w *world) own(i *instance) {
	w.owner = i
	w.generation++
}

func (i *instance) build(context.Context, int) (stages []pipeline.Stage, release func(), err error) {
	s := &store{space: i.w.mem.Space("p", "s"), i: i}
	if i.w.dedup {
		d, err := dedup.New(dedup.Config{Name: "once", Key: keyAndSequence, Window: time.Hour, Store: s,
			Events: dedup.Events{Repaired: func(stream.Partition, int64, int64, dedup.StateLoss) { i.w.mended++ }}})
		if err != nil {
			return nil, nil, err
		}
		stages = append(stages, pipeline.Stage{Name: "once", Step: deriving{d}})
	}
	if i.w.reorder {
		r, err := reorder.NewSequence(reorder.Config{Name: "order", Key: key, Sequence: sequence, MaxWait: 24 * time.Hour, Store: s,
			Events: reorder.Events{Rebuilt: func(stream.Partition, int, reorder.StateLoss) { i.w.mended++ }}})
		if err != nil {
			return nil, nil, err
		}
		stages = append(stages, pipeline.Stage{Name: "order", Step: r})
	}
	return stages, func() {}, nil
}

// deriving lets the steps behind dedup have its verdicts again.
type deriving struct{ *dedup.Step }

func (d deriving) Derive(p stream.Partition) pipeline.Step { return d.Step.Derive(p) }

func key(r *stream.Record) ([]byte, error) { return r.Key, nil }

func sequence(r *stream.Record) (int64, error) { return strconv.ParseInt(string(r.Value), 10, 64) }

func keyAndSequence(r *stream.Record) ([]byte, error) {
	return append(append([]byte{}, r.Key...), r.Value...), nil
}

// pass lets a call wait for its turn. lost says that its answer does not arrive.
func (i *instance) pass(name string) (lost bool, err error) {
	c := &call{by: i, name: name, turn: make(chan error)}
	i.w.mu.Lock()
	if i.dead {
		i.w.mu.Unlock()
		return false, errDead
	}
	i.w.waiting = append(i.w.waiting, c)
	i.w.mu.Unlock()
	err = <-c.turn
	if errors.Is(err, errLost) {
		return true, nil
	}
	return false, err
}

// do makes a call when its turn has come.
func (i *instance) do(name string, f func() error) error {
	lost, err := i.pass(name)
	if err != nil {
		return err
	}
	if err = f(); err == nil && lost {
		return errLost
	}
	return err
}

const (
	callsLimit = 400                    // of one run: beyond it there is no progress
	idleLimit  = 200                    // waits without a call
	idleWait   = 100 * time.Millisecond // of the bubble's time
)

// run schedules calls until everything is committed. It returns whether it came to that.
func (w *world) run() bool {
	w.begin()
	done := false
	for idle := 0; idle < idleLimit && w.calls < callsLimit; {
		synctest.Wait()
		if done = w.commit.Floor >= int64(len(w.log)) && w.quiet(); done {
			break
		}
		c := w.next()
		if c == nil {
			idle++
			w.unpause(idle > 3)
			<-time.After(idleWait)
			continue
		}
		idle = 0
		w.turn(c)
	}
	w.end()
	return done
}

// quiet says that nobody waits any more: a member that was replaced has said its last word too.
func (w *world) quiet() bool { return len(w.waiting) == 0 && w.paused == nil }

// next takes the call whose turn it is: the first that waits, by name, of an instance that is not paused. One that goes on
// after a pause goes first.
func (w *world) next() *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := -1
	for n, c := range w.waiting {
		if c.by == w.paused || at >= 0 && (c.by == w.owner) == (w.waiting[at].by == w.owner) && c.name >= w.waiting[at].name {
			continue
		}
		if at < 0 || c.by != w.owner || w.waiting[at].by == w.owner {
			at = n
		}
	}
	if at < 0 {
		return nil
	}
	c := w.waiting[at]
	w.waiting = append(w.waiting[:at], w.waiting[at+1:]...)
	return c
}

// turn lets a call be made, with what the schedule has for it.
func (w *world) turn(c *call) {
	n := w.calls
	w.calls++
	if w.paused != nil && c.by != w.paused {
		w.since++
		w.unpause(false)
	}
	switch n {
	case w.wipe:
		w.mem.Wipe()
	case w.pause:
		w.paused = c.by
		w.mu.Lock()
		w.waiting = append(w.waiting, c)
		w.mu.Unlock()
		if c.by == w.owner {
			w.begin()
		}
		return
	case w.kill:
		c.by.die()
		c.turn <- errDead
		if c.by == w.owner {
			w.begin()
		}
		return
	case w.fail:
		c.turn <- errFailed
		return
	case w.lose:
		c.turn <- errLost
		return
	}
	c.turn <- nil
}

func (w *world) unpause(now bool) {
	if w.paused != nil && (now || w.since >= w.resume) {
		w.paused = nil
	}
}

// die ends an instance: what it still waits for never happens.
func (i *instance) die() {
	w := i.w
	w.mu.Lock()
	i.dead = true
	var left []*call
	for _, c := range w.waiting {
		if c.by == i {
			defer func() { c.turn <- errDead }()
		} else {
			left = append(left, c)
		}
	}
	w.waiting = left
	w.mu.Unlock()
	if w.paused == i {
		w.paused = nil
	}
	i.ends()
}

func (w *world) end() {
	for _, i := range w.instances {
		i.die()
	}
	w.wg.Wait()
}

// store passes the calls of steps.
type store struct {
	space *memstate.Space
	i     *instance
}

func (s *store) Take(ctx context.Context, k stream.StateKey, token string, secret []byte) (st stream.LogState, err error) {
	err = s.i.do("take", func() error { st, err = s.space.Take(ctx, k, token, secret); return err })
	return st, err
}

func (s *store) Read(ctx context.Context, k stream.StateKey, segment, from int64, n int) (b []byte, err error) {
	err = s.i.do("read", func() error { b, err = s.space.Read(ctx, k, segment, from, n); return err })
	return b, err
}

func (s *store) Append(ctx context.Context, es []stream.LogAppend) error {
	return s.i.do("append", func() error { return s.space.Append(ctx, es) })
}

func (s *store) Cut(ctx context.Context, k stream.StateKey, token string, segment, length, head int64) error {
	return s.i.do("cut", func() error { return s.space.Cut(ctx, k, token, segment, length, head) })
}

func (s *store) Recover(ctx context.Context, k stream.StateKey, token, nonce string) error {
	return s.i.do("recover", func() error { return s.space.Recover(ctx, k, token, nonce) })
}

func (s *store) Next(ctx context.Context, qs []stream.NextQuery) error {
	return s.i.do("next", func() error { return s.space.Next(ctx, qs) })
}

func (s *store) Step(ctx context.Context, rs []stream.Redo) error {
	return s.i.do("step", func() error { return s.space.Step(ctx, rs) })
}

func (s *store) Restore(ctx context.Context, k stream.StateKey, token, nonce string, next iter.Seq2[string, stream.Next]) error {
	return s.i.do("restore", func() error { return s.space.Restore(ctx, k, token, nonce, next) })
}
