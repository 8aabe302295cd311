package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
	"golang.org/x/sys/unix"
)

// How wide lines are: as the terminal is, within these; without one, plainWidth.
const (
	narrow, wide  = 60, 140
	plainWidth    = 80
	samplesATopic = 3
	deadLength    = 400 // characters of why a record is a dead letter
	margin        = 10  // of the first column
)

// show prints what dev does, line by line; on a terminal the last line tells how far it is. Safe for concurrent use.
type show struct {
	w     io.Writer
	width int
	live  bool              // a terminal: colours, and progress in place
	names map[string]string // topic → sink
	dead  map[string]bool   // topics of dead letters

	mu     sync.Mutex
	seen   map[string]int64
	status bool // the line of progress stands at the cursor
}

func newShow(w io.Writer, cfg *config.Config) *show {
	s := &show{w: w, width: plainWidth, names: map[string]string{}, dead: map[string]bool{}, seen: map[string]int64{}}
	if f, ok := w.(*os.File); ok && terminal(f) {
		s.live = os.Getenv("TERM") != "dumb"
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			s.width = int(size.Col)
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.width = n
	}
	s.width = min(max(s.width, narrow), wide)
	for _, p := range cfg.Pipelines {
		for _, sink := range p.Sinks {
			s.names[sink.Topic] = sink.Name
		}
		s.names[p.DLQ.Topic], s.dead[p.DLQ.Topic] = p.DLQ.Name, true
	}
	return s
}

func (s *show) topics() []string { return slices.Sorted(maps.Keys(s.names)) }

// The ways in which text can stand out.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

func (s *show) style(code, text string) string {
	if !s.live || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// line prints one line, in the place of the progress. The caller holds the lock.
func (s *show) line(text string) {
	if s.status {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.status = false
	}
	fmt.Fprintln(s.w, text)
}

// say prints a sentence.
func (s *show) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line("")
	s.fact("now", text)
}

// fact prints text beside what it is about, wrapped. The caller holds the lock.
func (s *show) fact(about, text string) {
	for i, l := range wrap(text, s.width-margin) {
		if i > 0 {
			about = ""
		}
		s.line(s.style(bold, fmt.Sprintf("%-*s", margin, about)) + l)
	}
}

// head prints where things run, what is fed, and the path of a record.
func (s *show) head(where string, pipelines []*config.Pipeline, f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fact("running", where)
	for _, fact := range f.story {
		s.fact(fact.about, fact.text)
	}
	for _, p := range pipelines {
		path := []string{strings.Join(p.Source.Topics, ", ")}
		for _, st := range p.Steps {
			path = append(path, st.Name)
		}
		var sinks []string
		for _, sink := range p.Sinks {
			sinks = append(sinks, sink.Name)
		}
		s.fact(cut(p.Name, margin-2), strings.Join(append(path, strings.Join(sinks, ", ")), " → "))
	}
	s.line("")
}

// record prints the first records of each topic.
func (s *show) record(r devstack.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[r.Topic]++
	name := cut(s.names[r.Topic], margin-2)
	n := s.seen[r.Topic]
	switch {
	case n == samplesATopic+1:
		s.line(s.style(faint, fmt.Sprintf("%-*s…", margin, name)))
	case n <= samplesATopic && s.dead[r.Topic]:
		where := r.Headers["sp-step"]
		if hops := r.Headers["sp-hops"]; hops > "1" { // it has been one before
			where += ", hop " + hops
		}
		why := fmt.Sprintf("%s at %s: %s: %s", r.Headers["sp-origin"], where, r.Headers["sp-reason"], r.Headers["sp-error"])
		s.fact(name, cut(why, deadLength))
	case n <= samplesATopic && r.Value == nil:
		s.line(s.style(faint, fmt.Sprintf("%-*s", margin, name)+"a tombstone"))
	case n <= samplesATopic:
		s.line(s.style(faint, fmt.Sprintf("%-*s", margin, name)) + cut(string(r.Value), s.width-margin-1))
	}
}

func (s *show) total() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range s.seen {
		n += seen
	}
	return n
}

// progress prints on a terminal how far it is.
func (s *show) progress(fed int64, all []daemon.Status) {
	if !s.live {
		return
	}
	var in, out, held int64
	state := ""
	for _, st := range all {
		in, out, held = in+st.Ledger.In, out+st.Ledger.Out, held+st.Ledger.Held
		if !st.Ready {
			state = "  " + st.Name + " is " + string(st.State) + ": " + st.Why
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("fed %s  in %s  out %s  held %s%s", number(fed), number(in), number(out), number(held), state)
	fmt.Fprint(s.w, "\r\x1b[K"+s.style(faint, cut(text, s.width-1)))
	s.status = true
}

// wrap breaks text into lines at spaces, but not at those that do not break.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\n' }) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// cut makes text one line of so many characters at most that cannot control a terminal.
func cut(text string, width int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > width {
			return string([]rune(b.String())[:width-1]) + "…"
		}
		if !strconv.IsPrint(r) {
			r = '·'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func number(n int64) string { return humanize.Comma(n) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// short is a duration without the units that are zero.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
