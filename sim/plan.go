package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// act is what a fault does to a host.
type act uint8

const (
	kill   act = iota // it is gone, without a goodbye
	freeze            // it stands still, as by SIGSTOP
	stall             // its network holds everything back, and delivers it later
	cut               // its connections break
	lose              // one connection breaks: behind a request that has arrived, its answer is lost
)

var actNames = [...]string{"kill", "freeze", "stall", "cut", "lose"}

// skewMost is by how much the clock of a host may be wrong.
const skewMost = time.Hour

func (a act) String() string { return actNames[a] }

// aimPatience is how long an aim waits for its window before another one is taken.
const aimPatience = 40 * time.Second

// aim is the next fault of a host: what happens at the n-th passage of a window.
type aim struct {
	window string
	after  int
	act    act
	lasts  time.Duration
	taken  time.Time
}

func (a *aim) String() string {
	return fmt.Sprintf("%s for %v at %q", a.act, a.lasts, a.window)
}

func (a *aim) hit(window string) bool {
	if a.window != window {
		return false
	}
	a.after--
	return a.after < 0
}

// window is a place where faults are aimed: between two steps of a checkpoint, or just before or after a request.
type window struct {
	name   string
	weight int
	often  int // the fault comes at one of so many passages
}

// windows are all of them. Those of the group protocol are where a membership ends while work is under way: a worker that
// freezes just before its JoinGroup leaves, or between the loss of its partitions and what follows from it.
var windows = []window{
	{"polled", 12, 4}, {"write", 12, 4}, {"flush", 10, 4}, {"flushed", 10, 4}, {"commit", 12, 4}, {"committed", 8, 4},
	{"before JoinGroup", 12, 2}, {"after JoinGroup", 6, 2}, {"before SyncGroup", 5, 2}, {"after SyncGroup", 5, 2},
	{"before OffsetFetch", 4, 2}, {"after OffsetFetch", 4, 2}, {"before Heartbeat", 5, 6}, {"after Heartbeat", 3, 6},
	{"before LeaveGroup", 4, 1}, {"after LeaveGroup", 4, 1},
	{"before Produce", 8, 8}, {"after Produce", 8, 8}, {"before OffsetCommit", 10, 4}, {"after OffsetCommit", 10, 4},
	{"before TxnOffsetCommit", 10, 4}, {"after TxnOffsetCommit", 10, 4}, {"before EndTxn", 12, 4}, {"after EndTxn", 12, 4},
	{"before InitProducerID", 4, 1}, {"after InitProducerID", 4, 1}, {"before Fetch", 3, 12}, {"after Fetch", 3, 12},
	{"before redis", 16, 10}, {"after redis", 16, 10}, {"dial", 4, 6}, {"log", 12, 24},
}

// mood is what a world does to its engine.
type mood uint8

const (
	wild     mood = iota // everything
	faithful             // everything, but Redis forgets nothing: so nothing may be found to be lost
	gentle               // no faults; instances come and go in good order: so nothing may come out twice
)

var moodNames = [...]string{"wild", "faithful", "gentle"}

func (m mood) String() string { return moodNames[m] }

// drawMood makes most worlds wild.
func drawMood(r *rand.Rand) mood {
	switch n := r.IntN(100); {
	case n < 65:
		return wild
	case n < 90:
		return faithful
	}
	return gentle
}

// plan draws the faults of a run from its seed. Each host has a stream of its own, so that one does not disturb another.
// Safe for concurrent use.
type plan struct {
	seed   uint64
	mood   mood
	steady bool // all clocks are right: where gaps may not end, none of them may say that time is up
	mu     sync.Mutex
	dice   map[string]*rand.Rand
}

func newPlan(seed uint64) *plan { return &plan{seed: seed, dice: map[string]*rand.Rand{}} }

// die returns the source of chance named so.
func (p *plan) die(name string) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(p.seed, h)) //nolint:gosec // chance has to be repeatable here
}

// next draws the next fault of a host, nil if there is to be none.
func (p *plan) next(host string) *aim {
	if p.mood == gentle {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.dice[host]
	if r == nil {
		r = p.die(host)
		p.dice[host] = r
	}
	w := pick(r, windows, func(w window) int { return w.weight })
	a := &aim{window: w.name, after: r.IntN(w.often), act: kill, taken: time.Now()}
	switch n := r.IntN(100); {
	case n < 35:
	case n < 55:
		a.act, a.lasts = freeze, 60*time.Second
	case n < 72:
		a.act, a.lasts = freeze, time.Duration(1+r.IntN(15_000))*time.Millisecond
	case n < 82:
		a.act, a.lasts = stall, time.Duration(1+r.IntN(20_000))*time.Millisecond
	case n < 90:
		a.act = cut
	default:
		a.act = lose
	}
	return a
}

// skew draws by how much the clock of a host is wrong, for as long as it lives: durations are not touched by it, as they
// are not where a real clock is set, for Go measures them by another one.
func (p *plan) skew(r *rand.Rand) time.Duration {
	if p.steady || p.mood == gentle || r.IntN(4) > 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(2*skewMost))) - skewMost
}

func pick[T any](r *rand.Rand, from []T, weight func(T) int) T {
	total := 0
	for _, f := range from {
		total += weight(f)
	}
	n := r.IntN(total)
	for _, f := range from {
		if n -= weight(f); n < 0 {
			return f
		}
	}
	return from[0]
}
