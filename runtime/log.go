package runtime

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escape makes one line of printable text from guest bytes, of at most limit bytes of input: control characters and
// those that steer the direction of text are escaped, invalid UTF-8 is replaced.
func escape(b []byte, limit int) string {
	cut := len(b) > limit
	if cut {
		b = b[:limit]
	}
	var s strings.Builder
	s.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case r == '\n':
			s.WriteString(`\n`)
		case r == '\t':
			s.WriteByte(' ')
		case unicode.IsPrint(r):
			s.WriteRune(r)
		default:
			s.WriteRune(utf8.RuneError)
		}
	}
	if cut {
		s.WriteString("…")
	}
	return s.String()
}

var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// log writes one line of the guest, unless the call has logged too much already.
func (g *Guest) log(level uint32, line []byte) {
	if g.logged += min(len(line), logLineBytes) + 1; g.logged > logCallBytes {
		g.suppressed++
		return
	}
	l := levels[min(level, uint32(len(levels)-1))]
	g.plugin.rt.log.Log(context.Background(), l, escape(line, logLineBytes), "plugin", g.plugin.name, "step", g.step)
	if g.events.Log != nil {
		g.events.Log(l.String())
	}
}

// print logs what a guest writes to stdout or stderr, line by line.
func (g *Guest) print(fd uint32, b []byte) {
	for line := range bytes.Lines(b) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			g.log(fd, line) // stdout is 1, info; stderr is 2, warning
		}
	}
}

// reportSuppressed says after a call what was not logged.
func (g *Guest) reportSuppressed() {
	if g.suppressed > 0 {
		g.plugin.rt.log.Warn("plugin log lines suppressed", "plugin", g.plugin.name, "step", g.step, "lines", g.suppressed)
	}
}
