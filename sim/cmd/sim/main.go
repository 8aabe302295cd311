// Command sim runs simulations of the engine on all cores, and fails if one breaks a promise.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/streamproc/streamproc/sim/fleet"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func run() error {
	j := fleet.Job{Progress: os.Stderr}
	flag.Uint64Var(&j.Runs, "runs", 1000, "how many")
	flag.Uint64Var(&j.From, "from", 0, "first seed")
	flag.IntVar(&j.Processes, "j", runtime.NumCPU(), "processes at once")
	flag.StringVar(&j.Scenario, "scenario", "", "the only scenario")
	flag.StringVar(&j.Delivery, "delivery", "", "the only delivery level")
	flag.StringVar(&j.Dir, "dir", filepath.Join("bin", "sim"), "where traces of failed runs go")
	flag.Parse()
	if err := os.MkdirAll(j.Dir, 0o750); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if j.Binary, err = fleet.Build(ctx, j.Dir, ""); err != nil {
		return err
	}
	r, err := fleet.Run(ctx, j)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr)
	fmt.Print(r)
	if r.Failed > 0 || len(r.Broken) > 0 {
		return fmt.Errorf("%d runs failed, %d did not end", r.Failed, len(r.Broken))
	}
	return nil
}
