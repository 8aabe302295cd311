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

	begun [3][]byte // of each standard stream what was written since its last end of line
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

// print takes what a guest writes to stdout or stderr, which has its price, and logs the lines that it ends: the runtimes of
// some languages write a line word by word.
func (g *Guest) print(fd uint32, b []byte) {
	for part := range bytes.Lines(b) {
		g.charge(min(len(part), logLineBytes), 0)
		g.afford()
		begun := &g.lines.begun[fd]
		*begun = append(*begun, part[:min(len(part), logLineBytes+1-len(*begun))]...) // one more byte, so that the cut is seen
		if part[len(part)-1] == '\n' {
			g.endLine(fd)
		}
	}
}

// endLine logs the line that was begun on stdout, 1, as information, or on stderr, 2, as a warning.
func (g *Guest) endLine(fd uint32) {
	line := bytes.TrimRight(g.lines.begun[fd], "\r\n")
	g.lines.begun[fd] = g.lines.begun[fd][:0]
	if len(line) == 0 {
		return
	}
	if text := bytes.TrimSpace(line); fd == 2 && len(text) > 0 && len(g.words) < lastWords {
		g.words = append(g.words, escape(text, lastWordBytes))
	}
	g.log(fd, line)
}

// endLines logs what was written without an end of line, when a call has ended.
func (g *Guest) endLines() {
	g.endLine(1)
	g.endLine(2)
}

// What a guest writes to stderr before it fails goes with the cause: that is where languages say why.
const (
	lastWords     = 4 // lines: the fourth of a panic of Go is its place
	lastWordBytes = 256
)

// quoted is a text with what the guest wrote to stderr.
func (g *Guest) quoted(text string) string {
	if len(g.words) == 0 {
		return text
	}
	return text + "; it wrote: " + strings.Join(g.words, " | ")
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
