// Package logs is what the daemon's log needs beside slog: repeats are folded, so that a thousand dead letters a second are
// a few lines that say how many more there were.
package logs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	window   = 10 * time.Second // how long repeats are gathered
	burst    = 3                // lines of one kind that pass in a window
	maxKinds = 1000             // kinds of lines remembered; beyond it all windows end early
)

// identity are the attributes that make two lines of one message different kinds. They come from the configuration or from
// closed lists: what differs from record to record (its coordinate, its error) does not keep lines apart.
var identity = map[string]bool{"pipeline": true, "step": true, "plugin": true, "reason": true, "worker": true, "action": true, "how": true}

// Fold is a slog.Handler that lets the first lines of a kind through and counts the rest: when the window ends, the last of
// them is written with how many more there were. It is safe for concurrent use.
type Fold struct {
	inner slog.Handler
	kind  string // of the attributes that With has added
	kinds *kinds
}

// kinds are what the handlers derived from one share.
type kinds struct {
	mu   sync.Mutex
	open map[string]*fold
}

// fold is a window of one kind of line.
type fold struct {
	lines int
	more  int
	begun time.Time
	last  slog.Record
	to    slog.Handler
	timer *time.Timer
}

// NewFold returns a handler that writes to inner. Close says what has not been said yet.
func NewFold(inner slog.Handler) *Fold {
	return &Fold{inner: inner, kinds: &kinds{open: map[string]*fold{}}}
}

// Enabled implements slog.Handler.
func (f *Fold) Enabled(ctx context.Context, l slog.Level) bool { return f.inner.Enabled(ctx, l) }

// WithAttrs implements slog.Handler.
func (f *Fold) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Fold{inner: f.inner.WithAttrs(attrs), kind: f.kind + kindOf(attrs), kinds: f.kinds}
}

// WithGroup implements slog.Handler.
func (f *Fold) WithGroup(name string) slog.Handler {
	return &Fold{inner: f.inner.WithGroup(name), kind: f.kind + "\x00group " + name, kinds: f.kinds}
}

func kindOf(attrs []slog.Attr) string {
	var b strings.Builder
	for _, a := range attrs {
		if identity[a.Key] {
			b.WriteString("\x00" + a.Key + "=" + a.Value.String())
		}
	}
	return b.String()
}

// Handle implements slog.Handler.
func (f *Fold) Handle(ctx context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	if f.kinds.gather(r.Level.String()+f.kind+kindOf(attrs)+"\x00"+r.Message, f.inner, r) {
		return nil
	}
	return f.inner.Handle(ctx, r)
}

// gather says whether a line is folded, and not to be written now.
func (k *kinds) gather(kind string, to slog.Handler, r slog.Record) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.open[kind]
	if at == nil || at.more == 0 && time.Since(at.begun) >= window {
		if len(k.open) >= maxKinds {
			k.endAll()
		}
		at = &fold{begun: time.Now()}
		k.open[kind] = at
	}
	if at.lines++; at.lines <= burst {
		return false
	}
	at.more, at.last, at.to = at.more+1, r.Clone(), to
	if at.timer == nil {
		at.timer = time.AfterFunc(window-time.Since(at.begun), func() { k.end(kind, at) })
	}
	return true
}

// end closes a window. One in which lines were folded is followed by another in which all are, so that a flood that goes on
// is one line a window.
func (k *kinds) end(kind string, at *fold) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open[kind] != at {
		return // ended early
	}
	if at.more == 0 {
		delete(k.open, kind)
		return
	}
	at.say()
	at.begun = time.Now()
	at.timer.Reset(window)
}

// say writes the last line that was folded, and how many there were.
func (f *fold) say() {
	if f.more == 0 {
		return
	}
	r := f.last
	r.AddAttrs(slog.String("repeated", fmt.Sprintf("%d more in %v", f.more, time.Since(f.begun).Round(time.Second))))
	f.more = 0
	_ = f.to.Handle(context.Background(), r)
}

func (k *kinds) endAll() {
	for kind, at := range k.open {
		if at.timer != nil {
			at.timer.Stop()
		}
		at.say()
		delete(k.open, kind)
	}
}

// Close says what has not been said yet. The handler may be used on.
func (f *Fold) Close() {
	f.kinds.mu.Lock()
	defer f.kinds.mu.Unlock()
	f.kinds.endAll()
}
