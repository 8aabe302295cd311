package aimed

import (
	"context"
	"encoding/binary"
	"math"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
)

// The requests before which a member is stopped, by their numbers in Kafka's protocol.
const (
	produce   = 0
	joinGroup = 11
	nothing   = -1
)

// frost stops this process just before a request of one kind leaves. Safe for concurrent use.
type frost struct {
	key   atomic.Int32
	until atomic.Int64 // the member is busy, in Unix nanoseconds
	poll  sync.Mutex   // held while the member polls
}

func newFrost() *frost {
	f := &frost{}
	f.key.Store(nothing)
	return f
}

// busy is how long a member that was stopped on its way into the group has work to do before it polls again: meanwhile it is
// a member once more, under another id, and what it then polls it may commit. It polls nothing from the moment it is armed.
const busy = 2 * time.Second

func (f *frost) arm(key int32) {
	if key == joinGroup {
		f.until.Store(math.MaxInt64)
		f.poll.Lock() // what is being polled was polled before
		defer f.poll.Unlock()
	}
	f.key.Store(key)
}

func (f *frost) busy() bool { return time.Now().UnixNano() < f.until.Load() }

func (f *frost) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &frosty{c, f}, nil
}

type frosty struct {
	net.Conn
	f *frost
}

// Write implements net.Conn. A request begins with its length and its key.
func (c *frosty) Write(b []byte) (int, error) {
	if len(b) >= 6 {
		key := int32(binary.BigEndian.Uint16(b[4:]))
		if c.f.key.CompareAndSwap(key, nothing) {
			stopHere()
			if key == joinGroup {
				c.f.until.Store(time.Now().Add(busy).UnixNano())
			}
		}
	}
	return c.Conn.Write(b)
}

// stopHere stops the process in this very call, until somebody continues it.
func stopHere() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGSTOP) //nolint:errcheck // nobody may forbid us to stop ourselves
}

// worker is the client of a worker that is busy after the frost.
type worker struct {
	pipeline.Client
	f *frost
}

// Poll implements pipeline.Client.
func (w *worker) Poll(ctx context.Context, b *stream.Batch) error {
	if w.f.busy() {
		<-ctx.Done()
		return nil
	}
	w.f.poll.Lock()
	defer w.f.poll.Unlock()
	return w.Client.Poll(ctx, b)
}
