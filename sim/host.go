package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusal is how long a dial takes that fails. franz-go asks for a producer id again at once when it cannot dial: without
// this the clock would stand still.
const refusal = 50 * time.Millisecond

var errDead = errors.New("this host is dead")

// host is the machine that one life of an instance runs on. Its connections, its log and the calls of its workers pass
// through it; at each such passage the plan may kill it, freeze it, or cut it off. Safe for concurrent use.
type host struct {
	w    *world
	name string
	kill context.CancelFunc // tells the instance, which may do nothing any more

	skew time.Duration // of its clock

	mu     sync.Mutex
	dead   bool
	frozen time.Time // nothing passes before
	slow   time.Time // what is sent before arrives then
	links  map[*link]struct{}
	aim    *aim
}

// gate waits while the host is frozen. A goroutine that neither talks nor logs goes on: SIGSTOP would stop that too.
func (h *host) gate() {
	for {
		h.mu.Lock()
		wait := time.Until(h.frozen)
		if h.dead {
			wait = 0
		}
		h.mu.Unlock()
		if wait <= 0 {
			return
		}
		time.Sleep(wait)
	}
}

// pass is called at every passage, by the goroutine that passes. l is the connection it goes over, if any.
func (h *host) pass(window string, l *link) error {
	h.gate()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return errDead
	}
	if h.aim != nil && h.aim.hit(window) {
		a := h.aim
		h.aim = h.w.plan.next(h.name)
		h.strike(a, l)
	}
	if h.dead {
		return errDead
	}
	if wait := time.Until(h.frozen); wait > 0 {
		h.mu.Unlock()
		h.gate()
		h.mu.Lock()
	}
	if h.dead {
		return errDead
	}
	return nil
}

// logged is the passage of a line of the log.
func (h *host) logged(message string) {
	if _, own := strings.CutPrefix(message, "kafka client: "); own {
		_ = h.pass("log", nil)
	}
}

func (h *host) strike(a *aim, l *link) {
	h.w.trace.add(h.name, "FAULT %v", a)
	h.w.tally.strike(a)
	switch a.act {
	case kill:
		h.die()
	case freeze:
		h.frozen = time.Now().Add(a.lasts)
	case stall:
		h.slow = time.Now().Add(a.lasts)
	case cut:
		for l := range h.links {
			_ = l.Conn.Close()
		}
	case lose:
		if l != nil {
			_ = l.Conn.Close()
		}
	}
	h.w.trouble(a.lasts)
}

// now is the host's clock.
func (h *host) now() time.Time { return time.Now().Add(h.skew) }

// die ends the host. Called with mu held.
func (h *host) die() {
	h.dead = true
	for l := range h.links {
		_ = l.Conn.Close()
	}
	h.kill()
}

// calm ends all faults of the host.
func (h *host) calm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aim = nil
}

// renew takes another aim if the present one has not been hit for long.
func (h *host) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.aim != nil && time.Since(h.aim.taken) > aimPatience {
		h.aim = h.w.plan.next(h.name)
	}
}

// dial makes connections, to Kafka or Redis by the port.
func (h *host) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := h.pass("dial", nil); err != nil {
		time.Sleep(refusal)
		return nil, err
	}
	toRedis := strings.HasSuffix(addr, redisPort)
	c, err := h.w.dial(ctx, network, addr, toRedis)
	if err != nil {
		return nil, err
	}
	l := &link{Conn: c, h: h, redis: toRedis}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		_ = c.Close()
		return nil, errDead
	}
	h.links[l] = struct{}{}
	return l, nil
}

// link is one connection of a host.
type link struct {
	net.Conn
	h     *host
	redis bool

	mu     sync.Mutex
	late   [][]byte // sent while the host was slow, and not yet on its way
	closed bool
}

func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.h.gate()
	return n, err
}

func (l *link) Write(b []byte) (int, error) {
	window := l.window(b)
	if err := l.h.pass("before "+window, l); err != nil {
		return 0, err
	}
	if l.postpone(b) {
		return len(b), nil
	}
	n, err := l.Conn.Write(b)
	if err == nil {
		_ = l.h.pass("after "+window, l) // it has arrived; what is lost now is the answer
	}
	return n, err
}

// window names a request by what it asks for.
func (l *link) window(b []byte) string {
	if l.redis {
		return "redis"
	}
	if len(b) < 6 || int(binary.BigEndian.Uint32(b))+4 != len(b) {
		return "kafka"
	}
	return kmsg.Key(binary.BigEndian.Uint16(b[4:])).Name()
}

// postpone keeps what is sent over a slow network, which delivers it later even if the sender has given up meanwhile.
func (l *link) postpone(b []byte) bool {
	l.h.mu.Lock()
	wait := time.Until(l.h.slow)
	l.h.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait <= 0 && len(l.late) == 0 {
		return false
	}
	if l.late = append(l.late, append([]byte(nil), b...)); len(l.late) == 1 {
		go l.deliver(wait)
	}
	return true
}

// deliver sends what was postponed, and closes the connection if that was asked for meanwhile.
func (l *link) deliver(wait time.Duration) {
	time.Sleep(wait)
	for {
		l.mu.Lock()
		b := l.late[0]
		l.mu.Unlock()
		_, err := l.Conn.Write(b)
		l.mu.Lock()
		l.late = l.late[1:]
		end := err != nil || len(l.late) == 0
		if end {
			l.late = nil
		}
		if end && l.closed {
			_ = l.Conn.Close()
		}
		l.mu.Unlock()
		if end {
			return
		}
	}
}

func (l *link) Close() error {
	l.h.mu.Lock()
	delete(l.h.links, l)
	l.h.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if len(l.late) > 0 {
		return nil
	}
	return l.Conn.Close()
}

// RemoteAddr is an IP address: go-redis looks at it.
func (l *link) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *link) String() string { return fmt.Sprintf("link of %s", l.h.name) }
