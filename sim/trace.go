package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// traceLimit bounds the memory of a run that does not end well; the newest lines are kept.
const traceLimit = 400_000

// trace is everything that happened in a run, in order: what the engine and its Kafka client logged, the faults, the
// requests around them. Safe for concurrent use.
type trace struct {
	mu    sync.Mutex
	lines []string
	next  int
	now   time.Time
	same  int // lines since the clock last moved
}

// standstill is how many lines may be written while the clock stands still. A bubble's clock moves only when everybody
// waits: code that tries again without a pause stops it for good.
const standstill = 20_000

func (t *trace) add(who, format string, args ...any) {
	line := fmt.Sprintf("%s %-5s %s", time.Now().Format("15:04:05.000"), who, fmt.Sprintf(format, args...))
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); !now.Equal(t.now) {
		t.now, t.same = now, 0
	}
	if t.same++; t.same > standstill {
		panic("time stands still, somebody tries again without a pause: " + strings.Join(t.lines[len(t.lines)-40:], "\n"))
	}
	if len(t.lines) < traceLimit {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % traceLimit
}

func (t *trace) write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.lines {
		if _, err := fmt.Fprintln(w, t.lines[(t.next+i)%len(t.lines)]); err != nil {
			return err
		}
	}
	return nil
}

// logger is a slog.Handler that writes to the trace. Each line is a place where the host may be struck, on the goroutine
// that logs.
type logger struct {
	h     *host
	attrs string
}

func (l logger) Enabled(context.Context, slog.Level) bool { return true }

func (l logger) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(l.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.h.w.trace.add(l.h.name, "%s", b.String())
	l.h.w.tally.logged(r.Message)
	l.h.logged(r.Message)
	return nil
}

func (l logger) WithAttrs(as []slog.Attr) slog.Handler {
	for _, a := range as {
		l.attrs += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return l
}

func (l logger) WithGroup(string) slog.Handler { return l }
