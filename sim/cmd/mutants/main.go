// Command mutants builds each mutant of the engine and lets the harness loose on it. It fails if one survives.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/sim/fleet"
	"github.com/streamproc/streamproc/sim/mutants"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "*", "names of the mutants, as a pattern")
	runs := flag.Uint64("runs", 600, "simulations that a mutant may survive")
	dir := flag.String("dir", filepath.Join("bin", "mutants"), "where builds and traces go")
	processes := flag.Int("j", runtime.NumCPU(), "processes at once")
	flag.Parse()
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	scratch, err := filepath.Abs(*dir) // the tests of a mutant run elsewhere
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// A hunt by simulations takes all processes there are, one by the tests of packages takes one.
	var wide, narrow []hunt
	for i := range mutants.All {
		h := hunt{m: &mutants.All[i], dir: filepath.Join(scratch, mutants.All[i].Name), root: root, runs: *runs, processes: *processes}
		switch ok, err := filepath.Match(*only, h.m.Name); {
		case err != nil:
			return err
		case !ok:
		case slices.Contains(h.m.By, mutants.Simulation):
			wide = append(wide, h)
		default:
			narrow = append(narrow, h)
		}
	}
	var survived atomic.Int32
	for _, part := range []struct {
		hunts  []hunt
		atOnce int
	}{{wide, 1}, {narrow, *processes}} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(part.atOnce)
		for i := range part.hunts {
			g.Go(func() error { return part.hunts[i].report(ctx, &survived) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if n := survived.Load(); n > 0 {
		return fmt.Errorf("%d mutants survived: the harness has a hole", n)
	}
	return ctx.Err()
}

// hunt is after one mutant.
type hunt struct {
	m         *mutants.Mutant
	root, dir string
	runs      uint64
	processes int
}

// report hunts, and prints what came of it.
func (h *hunt) report(ctx context.Context, survived *atomic.Int32) error {
	killed, how, err := h.run(ctx)
	if err != nil {
		return err
	}
	word := "killed  "
	if !killed {
		word = "SURVIVED"
		survived.Add(1)
	}
	fmt.Printf("%s %s: %s%s\n", word, h.m.Name, h.m.Breaks, how)
	return nil
}

// run says whether the harness noticed, and how.
func (h *hunt) run(ctx context.Context) (killed bool, how string, err error) {
	if err := os.MkdirAll(h.dir, 0o750); err != nil {
		return false, "", err
	}
	overlay, err := h.m.Overlay(h.root, h.dir)
	if err != nil {
		return false, "", err
	}
	killed = true
	for _, part := range h.m.By {
		hunter := h.tests
		if part == mutants.Simulation {
			hunter = h.simulations
		}
		noticed, said, err := hunter(ctx, overlay, part)
		if err != nil {
			return false, "", fmt.Errorf("mutant %s: %w", h.m.Name, err)
		}
		killed, how = killed && noticed, how+"\n           "+said
	}
	return killed, how, nil
}

func (h *hunt) simulations(ctx context.Context, overlay, _ string) (killed bool, how string, err error) {
	binary, err := fleet.Build(ctx, h.dir, overlay)
	if err != nil {
		return false, "", err
	}
	r, err := fleet.Run(ctx, fleet.Job{Binary: binary, Dir: h.dir, Runs: h.runs, Processes: h.processes, Scenario: h.m.Scenario, Delivery: h.m.Delivery, UntilFail: true})
	if err != nil {
		return false, "", err
	}
	if r.Failed == 0 {
		return false, fmt.Sprintf("survives %d simulations", r.Runs), nil
	}
	return true, fmt.Sprintf("%d of %d simulations: lost %d, duplicated %d, misordered %d, commits backwards %d, repeated outside of faults %d, halted %d, unfounded repairs %d",
		r.Failed, r.Runs, r.Lost, r.Duplicated, r.Misordered, r.Backwards, r.Unexcused, r.Halted, r.Unfounded), nil
}

// tests runs the tests of a package on the mutant, up to the first that fails.
func (h *hunt) tests(ctx context.Context, overlay, part string) (killed bool, how string, err error) {
	binary := filepath.Join(h.dir, "tests")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, part).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return false, "", fmt.Errorf("building it: %w\n%s", err, out)
	}
	defer os.Remove(binary)
	run := exec.CommandContext(ctx, binary, "-test.failfast", "-test.timeout", patience.String()) //nolint:gosec // our own build
	run.Dir = filepath.Join(h.root, part)
	out, failed := run.CombinedOutput()
	if err := os.WriteFile(filepath.Join(h.dir, "tests.txt"), out, 0o600); err != nil {
		return false, "", err
	}
	if ctx.Err() != nil {
		return false, "", ctx.Err()
	}
	if failed == nil {
		return false, "survives the tests of " + part, nil
	}
	if test := firstFailure.FindSubmatch(out); test != nil {
		return true, fmt.Sprintf("the tests of %s: %s", part, test[1]), nil
	}
	return true, fmt.Sprintf("the tests of %s: %v", part, failed), nil
}

// patience is how long the tests of a package may take on a mutant.
const patience = 10 * time.Minute

var firstFailure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
