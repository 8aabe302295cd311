package aimed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Cell is one line of the table: what is aimed at whom.
type Cell struct {
	Case      string // b1 or b2
	Subject   string // as the table names it
	Binary    string // whose subcommand member is Member
	Delivery  string // of the engine; "": franz-go's own session
	Unguarded bool   // it must do harm
}

// Result is what became of the tries of a cell.
type Result struct {
	Cell
	Tries, Harmed, Repeated, Missing int // Harmed is the tries in which something was repeated or missing
	Failed                           []error
}

// Sound says that the cell came out as it must.
func (r *Result) Sound() bool {
	if r.Tries == 0 || len(r.Failed) > 0 {
		return false
	}
	return r.Unguarded == (r.Repeated+r.Missing > 0)
}

// Run makes tries of a cell, so many at a time. Logs of tries that did harm, or failed, stay in dir.
func Run(ctx context.Context, brokers []string, cell Cell, tries, parallel int, dir string) *Result {
	r := &Result{Cell: cell}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(parallel)
	for i := range tries {
		g.Go(func() error {
			at := filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d-%d", cell.Case, cell.Subject, cell.Delivery, time.Now().UnixMilli()%1e8, i))
			if err := os.MkdirAll(at, 0o700); err != nil {
				return err
			}
			o, err := shoot(ctx, brokers, cell, at)
			if werr := os.WriteFile(filepath.Join(at, "log"), []byte(o.Logs), 0o600); err == nil {
				err = werr
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Failed = append(r.Failed, fmt.Errorf("%s: %w", at, err))
				return nil
			}
			r.Tries++
			r.Repeated += o.Repeated
			r.Missing += o.Missing
			if o.Repeated+o.Missing > 0 {
				r.Harmed++
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		r.Failed = append(r.Failed, err)
	}
	return r
}

// Print writes a result as a line of the table.
func (r *Result) Print(w io.Writer) {
	verdict := "as it must be"
	if !r.Sound() {
		verdict = "NOT AS IT MUST BE"
	}
	fmt.Fprintf(w, "| %s | %s %s | %d | %d | %d | %d | %s |\n", r.Case, r.Subject, r.Delivery, r.Tries, r.Harmed, r.Repeated, r.Missing, verdict)
	for _, err := range r.Failed {
		fmt.Fprintf(w, "  a try failed: %v\n", err)
	}
}

// Cells are all of the table; without a mutant, those that need none.
func Cells(self, mutant string) []Cell {
	const once, least = "exactly_once", "at_least_once"
	cells := []Cell{
		{Case: "b1", Subject: "engine", Binary: self, Delivery: once},
		{Case: "b1", Subject: "engine", Binary: self, Delivery: least},
		{Case: "b2", Subject: "engine", Binary: self, Delivery: once},
		{Case: "b1", Subject: "session", Binary: self, Unguarded: true},
		{Case: "b2", Subject: "session", Binary: self, Unguarded: true},
	}
	if mutant != "" {
		cells = append(cells,
			Cell{Case: "b1", Subject: "mutant", Binary: mutant, Delivery: once, Unguarded: true},
			Cell{Case: "b1", Subject: "mutant", Binary: mutant, Delivery: least, Unguarded: true},
			Cell{Case: "b2", Subject: "mutant", Binary: mutant, Delivery: once})
	}
	return cells
}
