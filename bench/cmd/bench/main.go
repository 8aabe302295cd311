// Command bench measures streamproc from the source around the working directory; `streamproc bench` is the same for users.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/streamproc/streamproc/bench"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "role" {
		return bench.Role(ctx, os.Args[2:])
	}
	o := bench.Options{Talk: os.Stderr}
	scenarios := flag.String("scenario", strings.Join(bench.Scenarios, ","), "which, with commas")
	format := flag.String("o", "text", "text or json")
	flag.StringVar(&o.Broker, "broker", "kfake", "kfake or HOST:PORT")
	flag.StringVar(&o.Redis, "redis", "", "HOST:PORT; a redis-server is started without it")
	flag.Int64Var(&o.Records, "records", 0, "records fed in each scenario (default 500000)")
	flag.IntVar(&o.Reps, "reps", 0, "runs of each program that count (default 3)")
	flag.StringVar(&o.Binary, "binary", "", "the streamproc to measure; built without it")
	flag.StringVar(&o.Plugin, "plugin", "", "the plugin of q1 (default "+bench.DefaultPlugin+")")
	flag.StringVar(&o.Filter, "filter", "", "the plugin of filter, which keeps every bid (default an expression)")
	neighbours := flag.Bool("neighbours", false, "instead: what a hostile plugin does to the latency of another pipeline in its process, some six minutes")
	attack := flag.String("attack", "", "of -neighbours: only those whose name has this in it")
	flag.Parse()
	if *neighbours {
		all, err := bench.Neighbours(ctx, o, *attack)
		return errors.Join(bench.NeighboursText(os.Stdout, all), err)
	}
	o.Scenarios = strings.Split(*scenarios, ",")
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	write := report.Text
	if *format == "json" {
		write = report.JSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	if !report.Sound() {
		return fmt.Errorf("records were lost, duplicated, misordered or altered")
	}
	return nil
}
