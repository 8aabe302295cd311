package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/daemon"
)

type offsetsOptions struct {
	kept
	reset  string
	rewind bool
}

func offsetsCommand() *cobra.Command {
	var o offsetsOptions
	cmd := &cobra.Command{
		Use:   "offsets PIPELINE",
		Short: "Tell where a pipeline stands in each partition, or move it",
		Long: `Tell where a pipeline stands in each partition, or move it with --reset while no
instance runs.

What a move forward skips is released: later copies of skipped records are no
duplicates, and no key waits for a skipped sequence. A move back has outputs
come again, and wants --accept-rewind. The state of the steps is derived again
at the next start, from the log that Kafka retains.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.keeper(args[0], func(k *daemon.Keeper) error { return o.run(cmd, args[0], k) })
		},
	}
	o.output.add(cmd)
	o.addDangerous(cmd)
	cmd.Flags().StringVar(&o.reset, "reset", "", "move to earliest, latest, a time such as 2026-01-31T12:00:00Z, or an offset")
	cmd.Flags().BoolVar(&o.rewind, "accept-rewind", false, "let outputs come again that came already")
	return cmd
}

func (o *offsetsOptions) run(cmd *cobra.Command, name string, k *daemon.Keeper) error {
	if o.reset == "" {
		list, err := k.Offsets(cmd.Context())
		if err != nil {
			return err
		}
		return o.print(cmd, list)
	}
	target, err := targetOf(o.reset)
	if err != nil {
		return &exit{exitUsage, err}
	}
	plan, err := k.Plan(cmd.Context(), target)
	if err != nil {
		return err
	}
	if err := o.print(cmd, plan); err != nil {
		return err
	}
	if daemon.Rewinds(plan) && !o.rewind {
		return &exit{exitFailed, errors.New("this goes back behind what is committed: outputs would come again; --accept-rewind allows it")}
	}
	return o.confirmed(cmd, "move "+name, func() error { return k.Move(cmd.Context(), plan) })
}

func (o *offsetsOptions) print(cmd *cobra.Command, list []daemon.Offset) error {
	return o.write(cmd.OutOrStdout(), list, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "partition\tstart\tcommitted\tread\tend\tlag\tskipped\tto")
		for _, p := range list {
			to := ""
			if p.To != nil {
				to = strconv.FormatInt(*p.To, 10)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", p.Partition, p.Start, p.Committed, p.Head, p.End, p.Lag, p.Skips, to)
		}
		_ = t.Flush() // the writer below tells its errors
	})
}

func targetOf(s string) (daemon.Target, error) {
	switch s {
	case "earliest":
		return daemon.Target{Earliest: true}, nil
	case "latest":
		return daemon.Target{Latest: true}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return daemon.Target{Offset: n}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return daemon.Target{}, fmt.Errorf("--reset %s is none of earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z", s)
	}
	return daemon.Target{At: at}, nil
}
