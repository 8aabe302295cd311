package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// Lookups is what a plugin may read by kv_get. It is shared by all guests of a plugin.
type Lookups interface {
	// Get tells of each key, in order: its value, nil where there is none, or why that cannot be had. A value may have so
	// many bytes. An error of Get itself means that nothing was told; it wraps stream.ErrUnavailable if waiting may help.
	Get(ctx context.Context, keys []string, most int, tell func(i int, value []byte, err error)) error
}

// Limits of kv_get.
const (
	kvKeyBytes      = 512
	kvValueBytes    = 256 << 10
	kvGetsPerRecord = 32       // a call of n records may ask n times as often: what the store is slow at, the group waits for
	kvHeldKeys      = 100_000  // answers that are kept for the rest of a batch; more, and they are asked for again
	kvHeldBytes     = 16 << 20 // the same, of their keys and values
	kvAtOnce        = 256      // keys of one round trip: at most 64 MiB of values are on their way to a worker
	kvShownBytes    = 64       // of a key that is too long
	// kvBatchTime is what the lookups of a batch may take in all: so long a planned revocation waits for the worker. A batch that
	// is given up for it finds what it has learned when it comes again, so that it comes to an end; but nothing that is older.
	kvBatchTime = 3 * time.Second
	kvKeptTime  = time.Minute
)

// What kv_get answers besides the length of a value.
const (
	kvAbsent  = -1
	kvRefused = -2
)

const kvGet = "kv_get"

// reply is what is known of a key.
type reply struct {
	value []byte // nil: there is none
	err   error
}

// lookups are the answers that a guest has got for the batch at hand: within it a key has one value, also for a record
// that is handed over again.
type lookups struct {
	known map[string]reply
	bytes int
	since time.Time     // the oldest answer is no older
	left  time.Duration // of kvBatchTime
	late  bool          // the batch at hand was given up for want of time
	gets  int           // of the call
	err   error         // the store did not answer: nobody's fault
}

// begin is for a new batch, or for one that comes again.
func (l *lookups) begin() {
	if !l.late || time.Since(l.since) > kvKeptTime {
		l.forget()
	}
	l.late, l.left = false, kvBatchTime
}

func (l *lookups) forget() { clear(l.known); l.bytes, l.since = 0, time.Now() }

func (l *lookups) learn(key string, value []byte, err error) {
	if l.known == nil {
		l.known = map[string]reply{}
	}
	if len(l.known) >= kvHeldKeys || l.bytes+len(key)+len(value) > kvHeldBytes {
		l.forget()
	}
	l.known[key] = reply{value, err}
	l.bytes += len(key) + len(value)
}

// checkLookups holds a module to it that it reads a store only where it was given one.
func (p *Plugin) checkLookups(m *meter.Module) error {
	for _, i := range m.Imports {
		if p.lookups == nil && i.Module == sp1 && i.Name == kvGet {
			return errors.New("it imports sp1.kv_get, and is given nothing to read; write kv: { store: NAME, prefix: TEXT } at the plugin, or use one that does without")
		}
	}
	return nil
}

// prefetch asks for what the records of the batch name, in few round trips. What does not fit is asked for one by one.
func (g *Guest) prefetch(ctx context.Context, b *stream.Batch) error {
	g.kv.begin()
	if g.plugin.prefetch == nil {
		return nil
	}
	var keys []string
	wanted := map[string]bool{}
	for _, i := range g.todo {
		key, ok := g.plugin.prefetch(&b.Records[i])
		_, known := g.kv.known[string(key)]
		if ok && len(key) <= kvKeyBytes && !known && !wanted[string(key)] && len(wanted) < kvHeldKeys {
			wanted[string(key)] = true
			keys = append(keys, string(key))
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), kvAtOnce)
		if err := g.ask(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (g *Guest) ask(ctx context.Context, keys []string) error {
	begin := time.Now()
	kx, cancel := context.WithTimeout(ctx, g.kv.left)
	defer cancel()
	err := g.plugin.lookups.Get(kx, keys, kvValueBytes, func(i int, value []byte, err error) { g.kv.learn(keys[i], value, err) })
	g.kv.left -= time.Since(begin)
	if err == nil {
		return nil
	}
	if g.kv.left <= 0 && ctx.Err() == nil {
		g.kv.late = true
		err = fmt.Errorf("%w: the lookups of this batch have taken %v in all, and it is begun again: name what is looked up in prefetch, make fewer lookups, "+
			"or lower source.poll.records: %w", stream.ErrUnavailable, kvBatchTime, err)
	}
	return fmt.Errorf("plugin %s looks up %s: %w", g.plugin.name, shownKeys(keys), err)
}

func shownKeys(keys []string) string {
	if len(keys) == 1 {
		return fmt.Sprintf("%q", keys[0])
	}
	return fmt.Sprintf("%q and %d more", keys[0], len(keys)-1)
}

// hostKVGet gives the guest a value, or its length where there is no room for it.
func hostKVGet(g *Guest, m api.Module, stack []uint64) {
	g.countHostCall()
	key, readable := read(m, stack[0], stack[1])
	room, writable := read(m, stack[2], stack[3])
	if !readable || !writable {
		stack[0] = api.EncodeI32(kvRefused)
		return
	}
	switch value, given := g.lookUp(key); {
	case !given:
		stack[0] = api.EncodeI32(kvRefused)
		return
	case value == nil:
		stack[0] = api.EncodeI32(kvAbsent)
		return
	default:
		if len(value) <= len(room) {
			copy(room, value)
		}
		stack[0] = api.EncodeI32(int32(len(value)))
	}
}

func (g *Guest) countLookup(key []byte) {
	if g.kv.gets++; g.kv.gets > kvGetsPerRecord*g.calling {
		panic(&stop{stream.ReasonLimit, fmt.Sprintf("more than %d calls of kv_get per record", kvGetsPerRecord)})
	}
	if len(key) > kvKeyBytes {
		panic(&stop{stream.ReasonLimit, fmt.Sprintf("kv_get: the key of %d bytes is over the limit of %d; it begins %q", len(key), kvKeyBytes, key[:kvShownBytes])})
	}
}

// lookUp returns the value of a key, or nil; given is false where there is nothing to read, or no record at hand. The guest
// pays for it.
func (g *Guest) lookUp(key []byte) (value []byte, given bool) {
	if g.calling == 0 || g.plugin.lookups == nil {
		return nil, false
	}
	g.countLookup(key)
	value = g.valueOf(string(key))
	g.charge(len(key)+len(value), costBytesShift)
	g.afford()
	return value, true
}

// valueOf returns the value of a key, or nil. Whatever keeps it from that ends the call.
func (g *Guest) valueOf(key string) []byte {
	a, known := g.kv.known[key]
	if !known {
		if err := g.ask(g.ctx, []string{key}); err != nil {
			g.kv.err = err
			panic(&stop{stream.ReasonError, "the store does not answer"})
		}
		a = g.kv.known[key]
	}
	if a.err != nil {
		panic(&stop{stream.ReasonError, fmt.Sprintf("plugin %s looks up %q: %v", g.plugin.name, key, a.err)})
	}
	return a.value
}

// unanswered ends a batch whose lookups are not answered. No record is to blame: it will come again.
func (g *Guest) unanswered(ctx context.Context) error {
	err := g.kv.err
	g.kv.err = nil
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.lives++ // the call was left in its middle
	return joinErrors(err, g.anew(ctx))
}
