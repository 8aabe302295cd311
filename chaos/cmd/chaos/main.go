// Command chaos runs scenarios on servers of its own, keeps what they found, and writes the table of all that is kept.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/streamproc/streamproc/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o := chaos.Batch{Talk: os.Stdout}
	flag.StringVar(&o.Scenarios, "scenario", "all", "names of scenarios, separated by commas; all; list shows them; table only writes the table anew; goals compares what is kept with the goals")
	flag.Uint64Var(&o.Seed, "seed", 1, "of the first run; each further run takes the next")
	flag.IntVar(&o.Runs, "runs", 1, "of each scenario")
	flag.Float64Var(&o.Scale, "scale", 1, "of records and faults: less than 1 for a shorter run")
	flag.StringVar(&o.Delivery, "delivery", chaos.AtLeastOnce, fmt.Sprintf("%s, %s, or %s, which is exactly_once on brokers of that level", chaos.AtLeastOnce, chaos.ExactlyOnce, chaos.Legacy))
	flag.IntVar(&o.Parallel, "parallel", 3, "scenarios at a time, each on servers of its own; one with three brokers counts as two")
	flag.DurationVar(&o.Soak, "soak", 0, "instead of breaking anything, run at a steady rate for so long and see what grows")
	flag.StringVar(&o.Results, "results", "chaos/results", "folder of the results")
	flag.StringVar(&o.Logs, "logs", "", "folder in which the logs of the instances are to stay")
	flag.StringVar(&o.Binary, "binary", "", "streamproc; by default it is built from the source")
	flag.Parse()
	sound, err := o.Run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !sound {
		os.Exit(1)
	}
}
