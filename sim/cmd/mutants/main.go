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
	"time"

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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survived := 0
	for i := range mutants.All {
		m := &mutants.All[i]
		if *only != "" && m.Name != *only {
			continue
		}
		h := hunt{m: m, dir: filepath.Join(root, *dir, m.Name), root: root, runs: *runs, processes: *processes}
		killed, how, err := h.run(ctx)
		if err != nil {
			return err
		}
		word := "killed  "
		if !killed {
			word = "SURVIVED"
			survived++
		}
		fmt.Printf("%s %-22s %s\n         %s\n", word, m.Name, how, m.Breaks)
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
	if len(h.m.Tests) > 0 {
		return h.tests(ctx, overlay)
	}
	binary, err := fleet.Build(ctx, h.dir, overlay)
	if err != nil {
		return false, "", err
	}
	r, err := fleet.Run(ctx, fleet.Job{Binary: binary, Dir: h.dir, Runs: h.runs, Processes: h.processes, Scenario: h.m.Scenario, Delivery: h.m.Delivery, UntilFail: true})
	if err != nil {
		return false, "", err
	}
	if r.Failed == 0 && len(r.Broken) == 0 {
		return false, fmt.Sprintf("%d simulations in %v", r.Runs, r.Took.Round(time.Second)), nil
	}
	return true, fmt.Sprintf("in simulation %d: lost %d, duplicated %d, misordered %d, backwards %d, repeated outside of faults %d, halted %d, unfounded repairs %d, broken down %d",
		r.Runs, r.Lost, r.Duplicated, r.Misordered, r.Backwards, r.Unexcused, r.Halted, r.Unfounded, len(r.Broken)), nil
}

// tests runs the tests of packages on the mutant: one of them must fail, and not for want of a build.
func (h *hunt) tests(ctx context.Context, overlay string) (killed bool, how string, err error) {
	if out, err := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-overlay", overlay, "-run", "^$"}, h.m.Tests...)...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return false, "", fmt.Errorf("building mutant %s: %w\n%s", h.m.Name, err, out)
	}
	out, err := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-overlay", overlay}, h.m.Tests...)...).CombinedOutput() //nolint:gosec // our own arguments
	if writeErr := os.WriteFile(filepath.Join(h.dir, "tests.txt"), out, 0o600); writeErr != nil {
		return false, "", writeErr
	}
	return err != nil, fmt.Sprintf("by the tests of %v", h.m.Tests), nil
}
