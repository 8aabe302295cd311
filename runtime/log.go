package runtime

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"
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

// lines bounds what an instance logs: so many bytes a call and lines a second, and the same line once.
type lines struct {
	second     int64 // that count is of
	count      int
	suppressed int
	reported   int64 // the second in which suppression was last reported
	last       string
	level      slog.Level
	repeats    int
}

// log writes one line of the guest, unless it has logged too much already.
func (g *Guest) log(level uint32, line []byte) {
	l := &g.lines
	if now := time.Now().Unix(); now != l.second {
		l.second, l.count = now, 0
	}
	if g.logged += min(len(line), logLineBytes) + 1; g.logged > logCallBytes {
		l.suppressed++
		return
	}
	text, at := escape(line, logLineBytes), levels[min(level, uint32(len(levels)-1))]
	if text == l.last && at == l.level && l.count > 0 {
		l.repeats++
		return
	}
	g.logRepeats()
	if l.count++; l.count > g.plugin.limits.LogLines {
		l.suppressed++
		return
	}
	l.last, l.level = text, at
	g.write(at, text)
}

func (g *Guest) write(level slog.Level, text string, more ...any) {
	g.plugin.log.Log(context.Background(), level, text, append([]any{"plugin", g.plugin.name, "step", g.step}, more...)...)
	if g.events.Log != nil {
		g.events.Log(level.String())
	}
}

// logRepeats says how often the last line came again, which is a line too.
func (g *Guest) logRepeats() {
	l := &g.lines
	n := l.repeats
	if l.repeats = 0; n == 0 {
		return
	}
	if l.count++; l.count > g.plugin.limits.LogLines {
		l.suppressed += n
		return
	}
	g.write(l.level, l.last, "repeated", n)
}

// print logs what a guest writes to stdout or stderr, line by line, and each has its price.
func (g *Guest) print(fd uint32, b []byte) {
	for line := range bytes.Lines(b) {
		g.charge(min(len(line), logLineBytes), 0)
		g.afford()
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			g.log(fd, line) // stdout is 1, info; stderr is 2, warning
		}
	}
}

// reportSuppressed says after a call, and at most once a second, what was not logged.
func (g *Guest) reportSuppressed() {
	if l := &g.lines; (l.suppressed > 0 || l.repeats > 0) && l.reported != l.second {
		l.reported = l.second
		g.closeLog()
	}
}

// closeLog says what has not been said yet.
func (g *Guest) closeLog() {
	g.logRepeats()
	if l := &g.lines; l.suppressed > 0 {
		g.plugin.log.Warn("plugin log lines suppressed", "plugin", g.plugin.name, "step", g.step, "lines", l.suppressed)
		l.suppressed = 0
	}
}
