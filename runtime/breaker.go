package runtime

import (
	"fmt"
	"sync"
	"time"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

// breaker pauses a plugin that fails at everything it is given, which is more likely its fault than that of the records.
// It counts over all guests of the plugin: one good record anywhere tells that the plugin works. A pause begins after a
// batch, so that each pause lets one batch pass: whoever writes nothing but poison into a topic slows the pipeline down,
// and does not stop it.
type breaker struct {
	limit int

	mu     sync.Mutex
	row    int // records that failed since the last that did not
	last   string
	pause  time.Duration
	reopen time.Time
}

// The first pause, and the longest: each is twice as long as the one before, until a record goes well.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// batch takes note of a batch: whether any record went well, and how many have failed since. It returns how long the
// plugin is to pause; 0 is not at all.
func (b *breaker) batch(good bool, failed int, last *stream.Cause) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if good {
		b.row, b.pause = 0, 0
	}
	if failed > 0 {
		b.row, b.last = b.row+failed, fmt.Sprintf("%s: %s", last.Reason, last.Message)
	}
	if b.row < b.limit {
		return 0
	}
	b.row = 0
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	b.reopen = time.Now().Add(b.pause)
	return b.pause
}

// check returns an error while the plugin pauses.
func (b *breaker) check(plugin string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := time.Until(b.reopen); left > 0 {
		return fmt.Errorf("%w: plugin %s is held to be broken: %d records in a row failed, which is the limit traps, the last one with %s; it is tried again in %v",
			stream.ErrUnavailable, plugin, b.limit, b.last, left.Round(100*time.Millisecond))
	}
	return nil
}

// Ready returns an error while the plugin, or what has taken its place, is held to be broken.
func (p *Plugin) Ready() error {
	p = p.latest()
	return p.breaker.check(p.name)
}

// judgePlugin tells the breaker how the batch went.
func (g *Guest) judgePlugin() {
	good, failed := false, 0
	var last *stream.Cause
	for i := range g.results {
		if r := &g.results[i]; r.verdict == abi.Fail && broken(r.cause.Reason) {
			failed++
			last = r.cause
			continue
		}
		good, failed = true, 0
	}
	if len(g.results) == 0 {
		return
	}
	if pause := g.plugin.breaker.batch(good, failed, last); pause > 0 && g.events.Broken != nil {
		g.events.Broken(pause, last)
	}
}

// broken says whether a record failed because the plugin did, and not because the plugin said so.
func broken(r stream.Reason) bool {
	return r == stream.ReasonTrap || r == stream.ReasonFuel || r == stream.ReasonDepth || r == stream.ReasonContract || r == stream.ReasonLimit
}
