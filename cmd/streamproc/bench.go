package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var format *choice
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a record costs, beside the least program that copies a topic",
		Long: "Measure what a record costs, beside the least program that copies a topic: both in turn, each a process of its own,\n" +
			"what arrived counted at the sink by content. Exit 1 if a record was lost, duplicated, misordered or altered.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd, o, format.value) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Scenarios, "scenario", bench.Scenarios, "what to measure")
	f.StringVar(&o.Broker, "broker", "kfake", "kfake, in a process of its own, or HOST:PORT of a Kafka")
	f.StringVar(&o.Redis, "redis", "", "HOST:PORT (default: a redis-server is started where one is needed)")
	f.Int64Var(&o.Records, "records", 0, "records fed in each scenario (default 500000)")
	f.IntVar(&o.Reps, "reps", 0, "runs of each program that count, after one that does not (default 3)")
	f.StringVar(&o.Binary, "binary", "", "the streamproc to measure (default: this one)")
	f.StringVar(&o.Plugin, "plugin", bench.DefaultPlugin, "the plugin of q1")
	f.StringVar(&o.Filter, "filter", "", "the plugin of filter, which keeps every bid (default: an expression)")
	format = choose(cmd, f, "output", "o", "how the report is printed", "table", "table", "json")
	cmd.AddCommand(roleCommand())
	return cmd
}

func runBench(cmd *cobra.Command, o bench.Options, format string) error {
	self, err := os.Executable()
	if err != nil {
		return &exit{exitFailed, fmt.Errorf("finding this executable: %w", err)}
	}
	if o.Binary == "" {
		o.Binary = self
	}
	o.Self, o.Talk = []string{self, "bench", "role"}, cmd.ErrOrStderr()
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := bench.Run(ctx, o)
	if err != nil {
		return &exit{exitFailed, err}
	}
	write := report.Text
	if format == "json" {
		write = report.JSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return &exit{exitFailed, err}
	}
	if !report.Sound() {
		return &exit{exitFailed, errors.New("records were lost, duplicated, misordered or altered")}
	}
	return nil
}

// roleCommand is how the bench starts its broker and its floor as processes.
func roleCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "role",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := bench.Role(cmd.Context(), args); err != nil {
				return &exit{exitFailed, err}
			}
			return nil
		},
	}
}
