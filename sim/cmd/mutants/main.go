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
	"runtime"

	"github.com/streamproc/streamproc/sim/fleet"
	"github.com/streamproc/streamproc/sim/mutants"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "", "name of the only mutant")
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
	survived := 0
	for i := range mutants.All {
		m := &mutants.All[i]
		if *only != "" && m.Name != *only {
			continue
		}
		h := hunt{m: m, dir: filepath.Join(scratch, m.Name), root: root, runs: *runs, processes: *processes}
		killed, how, err := h.run(ctx)
		if err != nil {
			return err
		}
		word := "killed  "
		if !killed {
			word = "SURVIVED"
			survived++
		}
		fmt.Printf("%s %s: %s%s\n", word, m.Name, m.Breaks, how)
	}
	if survived > 0 {
		return fmt.Errorf("%d mutants survived: the harness has a hole", survived)
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

// tests runs the tests of a package on the mutant: one of them must fail, and not for want of a build.
func (h *hunt) tests(ctx context.Context, overlay, part string) (killed bool, how string, err error) {
	if out, err := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", overlay, "-run", "^$", part).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return false, "", fmt.Errorf("building it: %w\n%s", err, out)
	}
	out, failed := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", overlay, part).CombinedOutput() //nolint:gosec // our own arguments
	if err := os.WriteFile(filepath.Join(h.dir, "tests.txt"), out, 0o600); err != nil {
		return false, "", err
	}
	if failed == nil {
		return false, "survives the tests of " + part, nil
	}
	return true, "the tests of " + part, nil
}
