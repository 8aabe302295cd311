package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/pipeline"
)

// account prints what became of the records of each pipeline; an error says that a ledger does not close.
func (s *show) account(pipelines []*config.Pipeline, all []daemon.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i := range all {
		p, st := pipelines[i], &all[i]
		s.line("")
		s.line(s.style(bold, p.Name) + fmt.Sprintf(": %s from %s", plural(st.Ledger.In, "record", "records"), strings.Join(p.Source.Topics, ", ")))
		s.steps(st.Steps)
		s.sinks(p, st.Outputs)
		s.remarks(p, st)
		s.ledger(st)
		if st.Difference != 0 {
			errs = append(errs, fmt.Errorf("the ledger of %s does not close", st.Name))
		}
	}
	return errors.Join(errs...)
}

var columns = []string{"in", "out", "filtered", "dupl.", "held", "late", "dead", "time/rec."}

// steps prints a table: what came to each step, and what became of it there.
func (s *show) steps(steps []daemon.Step) {
	if len(steps) == 0 {
		return
	}
	names, rows := []string{"step"}, [][]string{columns}
	for _, st := range steps {
		name := st.Name
		if !strings.HasPrefix(name, st.Verb+"-") { // as one is that nobody has named
			name = st.Verb + " " + name
		}
		if st.Branch {
			name = "└ " + name
		}
		row := []string{}
		for _, n := range []int64{st.In, st.Out, st.Filtered, st.Duplicates, st.Held, st.Late, st.DeadLettered} {
			row = append(row, s.cell(n))
		}
		names, rows = append(names, name), append(rows, append(row, perRecord(st)))
	}
	widths := make([]int, len(columns))
	left := s.width - 2
	for i := range columns {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		left -= widths[i] + 2
	}
	first := 0
	for _, name := range names {
		first = max(first, utf8.RuneCountInString(name))
	}
	first = max(min(first, left), margin)
	for i, row := range rows {
		line := "  " + fmt.Sprintf("%-*s", first, cut(names[i], first))
		for j, cell := range row {
			line += fmt.Sprintf("  %*s", widths[j], cell)
		}
		if i == 0 {
			line = s.style(faint, line)
		}
		s.line(line)
	}
}

// cell is a number, short where the terminal is narrow; nothing is a dash, so that what is there stands out.
func (s *show) cell(n int64) string {
	switch {
	case n == 0:
		return "-"
	case s.width < 100 && n >= 1_000_000:
		value, unit := humanize.ComputeSI(float64(n))
		return fmt.Sprintf("%.1f%s", value, unit)
	}
	return number(n)
}

func perRecord(st daemon.Step) string {
	if st.In == 0 {
		return "-"
	}
	d := time.Duration(st.Seconds / float64(st.In) * float64(time.Second))
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(d)/1e3)
	}
	return fmt.Sprintf("%.1f ms", float64(d)/1e6)
}

// sinks prints what went where.
func (s *show) sinks(p *config.Pipeline, outputs map[string]int64) {
	s.line("")
	for _, sink := range append(append([]*config.Sink{}, p.Sinks...), p.DLQ) {
		what := "to topic " + sink.Topic
		if sink == p.DLQ {
			what += ", the dead letters"
		}
		s.line(fmt.Sprintf("  %9s  %s %s", number(outputs[sink.Name]), cut(sink.Name, s.width/3), s.style(faint, what)))
	}
	s.line("")
}

// remarks say what numbers alone do not.
func (s *show) remarks(p *config.Pipeline, st *daemon.Status) {
	say := func(text string) {
		for i, l := range wrap(text, s.width-4) {
			lead := "  "
			if i > 0 {
				lead = "    "
			}
			s.line(s.style(faint, lead+l))
		}
	}
	said := false
	for i := range p.Steps {
		r := p.Steps[i].Reorder
		if r == nil {
			continue
		}
		done := stepOf(st.Steps, p.Steps[i].Name)
		if done.Late > 0 {
			said = true
			say(fmt.Sprintf("%s came to %s when others more than max_wait %s after had passed: %s.",
				plural(done.Late, "record", "records"), done.Name, short(r.MaxWait), lateGoes(r)))
		}
		if done.Held > 0 {
			said = true
			say(fmt.Sprintf("%s in %s, for earlier ones that may still come, up to max_wait %s. Their offsets are not committed: "+
				"a daemon would read them again when it starts.", plural(done.Held, "record is held", "records are held"), done.Name, short(r.MaxWait)))
		}
	}
	if st.Why != "" {
		said = true
		say(fmt.Sprintf("It is %s: %s", st.State, st.Why))
	}
	if said {
		s.line("")
	}
}

func stepOf(steps []daemon.Step, name string) daemon.Step {
	for _, st := range steps {
		if st.Name == name {
			return st
		}
	}
	return daemon.Step{}
}

func lateGoes(r *config.Reorder) string {
	switch r.Late {
	case "side":
		return "they went to " + r.Side.Name
	case "drop":
		return "they were dropped"
	case "pass":
		return "they went on out of order, marked by sp-late"
	}
	return "they went to the dead letters"
}

// ledger prints the account, on one line where there is room.
func (s *show) ledger(st *daemon.Status) {
	sum, verdict := ledgerParts(st.Ledger, st.Difference)
	colour := green
	if st.Difference != 0 {
		colour = red
	}
	ls := wrap(sum, s.width-4-utf8.RuneCountInString(verdict)-3)
	for i, l := range ls {
		lead := "  "
		if i > 0 {
			lead = "    "
		}
		if i == len(ls)-1 {
			l += "   " + s.style(bold+";"+colour, verdict)
		}
		s.line(lead + strings.ReplaceAll(l, "\u00a0", " "))
	}
}

// ledgerParts is the sum, with spaces that do not break within its terms, and whether it closes.
func ledgerParts(c pipeline.Counts, difference int64) (sum, verdict string) {
	term := func(name string, n int64) string { return name + "\u00a0" + number(n) }
	verdict = "closes"
	if difference != 0 {
		verdict = fmt.Sprintf("DOES NOT CLOSE: %s missing or too many", number(difference))
	}
	return strings.Join([]string{term("in", c.In) + "\u00a0=\u00a0" + term("out", c.Out), term("+\u00a0filtered", c.Filtered), term("+\u00a0duplicates", c.Duplicates),
		term("+\u00a0held", c.Held), term("+\u00a0late", c.Late), term("+\u00a0dead-lettered", c.DeadLettered)}, " "), verdict
}
