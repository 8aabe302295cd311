package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
)

// What dev shows of the records that went out.
const (
	samplesATopic = 3
	sampleWidth   = 72 // a line of 100 columns, with what stands before it
)

// show prints what went out as it goes. Safe for concurrent use.
type show struct {
	w     io.Writer
	names map[string]string // topic → pipeline and sink
	dead  map[string]bool   // topics of dead letters

	mu   sync.Mutex
	seen map[string]int64
}

func newShow(w io.Writer, cfg *config.Config) *show {
	s := &show{w: w, names: map[string]string{}, dead: map[string]bool{}, seen: map[string]int64{}}
	for _, p := range cfg.Pipelines {
		for _, sink := range p.Sinks {
			s.names[sink.Topic] = sink.Name
		}
		s.names[p.DLQ.Topic], s.dead[p.DLQ.Topic] = "dead letter", true
	}
	return s
}

func (s *show) topics() []string { return slices.Sorted(maps.Keys(s.names)) }

func (s *show) record(r devstack.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[r.Topic]++
	switch n := s.seen[r.Topic]; {
	case n == samplesATopic+1:
		fmt.Fprintf(s.w, "%-12s …\n", s.names[r.Topic])
	case n > samplesATopic:
	case s.dead[r.Topic]:
		fmt.Fprintf(s.w, "%-12s %s at %s: %s %s\n", "dead letter", r.Headers["sp-origin"], r.Headers["sp-step"], r.Headers["sp-reason"], cut(r.Headers["sp-error"]))
	default:
		fmt.Fprintf(s.w, "%-12s %s\n", s.names[r.Topic], cut(string(r.Value)))
	}
}

// cut makes text one line of bounded width that cannot control a terminal.
func cut(text string) string {
	short := text[:min(len(text), sampleWidth)]
	for !utf8.ValidString(short) && len(short) > sampleWidth-utf8.UTFMax && len(text) > sampleWidth {
		short = short[:len(short)-1]
	}
	clean := make([]rune, 0, len(short))
	for _, r := range short {
		if !strconv.IsPrint(r) {
			r = '·'
		}
		clean = append(clean, r)
	}
	if len(short) < len(text) {
		return string(clean) + "…"
	}
	return string(clean)
}

func (s *show) total() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range s.seen {
		n += seen
	}
	return n
}

// summary prints the account of each pipeline; an error says that one does not close.
func (s *show) summary(all []daemon.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range all {
		fmt.Fprintf(s.w, "\n%s\n", st.Name)
		for _, sink := range slices.Sorted(maps.Keys(st.Outputs)) {
			fmt.Fprintf(s.w, "  %8d written to %s\n", st.Outputs[sink], sink)
		}
		fmt.Fprintf(s.w, "  %s\n", st.Ledger)
		if st.Ledger.Difference() != 0 {
			errs = append(errs, fmt.Errorf("the ledger of %s does not close", st.Name))
		}
	}
	return errors.Join(errs...)
}
