package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
)

type validateOptions struct {
	files
	output
	format        *choice
	offline, deny bool
}

func validateCommand() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration, its plugins and, unless told not to, its servers",
		Long: `Check a configuration, its plugins and, unless told not to, its servers, and print the plan.

Problems are told in the format of --format: text on stderr, json, github and
sarif on stdout, without the plan.

Exit codes: 0 it would run, 69 a server is away or lacks something, 78 it is
invalid, or --deny-warnings was given and there is one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return validate(cmd, &o) },
	}
	o.files.add(cmd)
	o.output.add(cmd)
	o.format = choose(cmd, cmd.Flags(), "format", "", "how problems are told", "text", "text", "json", "github", "sarif")
	cmd.Flags().BoolVar(&o.offline, "no-environment", false, "do not connect to Kafka and Redis")
	cmd.Flags().BoolVar(&o.deny, "deny-warnings", false, "take warnings for errors")
	return cmd
}

func validate(cmd *cobra.Command, o *validateOptions) error {
	cfg, err := o.load()
	if err != nil {
		return o.refuse(cmd, nil, err)
	}
	if o.deny && len(cfg.Warnings) > 0 {
		return o.refuse(cmd, nil, cfg.Warnings)
	}
	ctx := context.WithoutCancel(cmd.Context())
	d, err := daemon.New(ctx, cfg, daemon.Options{Logger: slog.New(slog.DiscardHandler), CacheDir: cacheDir(), Compiler: compiler()})
	if err != nil {
		return o.refuse(cmd, cfg.Warnings, unbuilt(err))
	}
	defer func() { _ = d.Close(ctx) }()
	if err := d.Probe(ctx); err != nil {
		return o.refuse(cmd, cfg.Warnings, unbuilt(err))
	}
	if err := o.plan(cmd, cfg); err != nil || o.offline {
		return err
	}
	return o.ask(ctx, cmd, d)
}

// refuse tells the warnings and what is wrong in the format that is asked for, and returns the error to leave with.
func (o *validateOptions) refuse(cmd *cobra.Command, warnings config.Problems, err error) error {
	wrong := config.Found(err)
	if o.format.value == "text" || len(wrong) == 0 {
		fmt.Fprint(cmd.ErrOrStderr(), shown(cmd, warnings))
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), render(o.format.value, append(warnings[:len(warnings):len(warnings)], wrong...)))
	var e *exit
	if errors.As(err, &e) {
		return &exit{e.code, nil}
	}
	return &exit{exitInvalid, nil}
}

func render(format string, found config.Problems) string {
	switch format {
	case "json":
		return found.JSON()
	case "github":
		return found.GitHub()
	}
	return found.SARIF()
}

// plan tells the warnings, and what would run.
func (o *validateOptions) plan(cmd *cobra.Command, cfg *config.Config) error {
	if o.format.value != "text" {
		fmt.Fprint(cmd.OutOrStdout(), render(o.format.value, cfg.Warnings))
		return nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), shown(cmd, cfg.Warnings))
	return printPlan(cmd.OutOrStdout(), &o.output, cfg, nil)
}

// ask has the servers say what they make of the pipelines.
func (o *validateOptions) ask(ctx context.Context, cmd *cobra.Command, d *daemon.Daemon) error {
	findings, found := d.Check(ctx)
	warned := false
	for _, f := range findings {
		warned = warned || len(f.Warnings) > 0
		tell(cmd, o, f)
	}
	switch {
	case len(found) > 0:
		return &exit{exitAway, errors.Join(found...)}
	case warned && o.deny:
		return &exit{exitInvalid, nil}
	}
	return nil
}

// tell prints what the servers make of a pipeline: what is delivered is data, warnings are talk.
func tell(cmd *cobra.Command, o *validateOptions, f daemon.Finding) {
	if f.Delivery != "" && o.format.value == "text" && o.output.value == "table" {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: delivery is %s\n", f.Pipeline, f.Delivery)
	}
	for _, warning := range f.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", f.Pipeline, warning)
	}
}

func printPlan(w io.Writer, o *output, cfg *config.Config, only []string) error {
	plans := plansOf(cfg, only)
	return o.write(w, plans, func(w io.Writer) {
		for _, p := range plans {
			p.print(w)
		}
	})
}
