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

func validateCommand() *cobra.Command {
	var paths []string
	var format string
	var offline bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration, its plugins and, unless told not to, its servers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(config.Options{Paths: paths})
			var invalid config.Problems
			if errors.As(err, &invalid) {
				return report(cmd.OutOrStdout(), format, invalid)
			}
			if err != nil {
				return err
			}
			return probe(cmd, cfg, offline)
		},
	}
	cmd.Flags().StringSliceVarP(&paths, "config", "c", []string{"pipelines.yaml"}, "file, or folder of *.yaml")
	cmd.Flags().StringVar(&format, "format", "text", "text, json or github")
	cmd.Flags().BoolVar(&offline, "no-environment", false, "do not connect to Kafka and Redis")
	return cmd
}

func report(w io.Writer, format string, problems config.Problems) error {
	switch format {
	case "json":
		fmt.Fprint(w, problems.JSON())
	case "github":
		fmt.Fprint(w, problems.GitHub())
	case "text":
		return problems
	default:
		return &exit{exitUsage, fmt.Errorf("--format %s is none of text, json, github", format)}
	}
	return &exit{exitInvalid, nil}
}

// probe builds everything, with a probe instance of each plugin, prints the plan, and asks the servers.
func probe(cmd *cobra.Command, cfg *config.Config, offline bool) error {
	ctx := context.WithoutCancel(cmd.Context())
	d, err := daemon.New(ctx, cfg, daemon.Options{Logger: slog.New(slog.DiscardHandler), CacheDir: cacheDir(), Compiler: compiler()})
	if err != nil {
		return &exit{exitInvalid, err}
	}
	defer func() { _ = d.Close(ctx) }()
	for _, p := range cfg.Pipelines {
		plan(cmd.OutOrStdout(), p)
	}
	if offline {
		return nil
	}
	findings, found := d.Check(ctx)
	for _, f := range findings {
		tell(cmd.OutOrStdout(), f)
	}
	if len(found) > 0 {
		return &exit{exitAway, errors.Join(found...)}
	}
	return nil
}

func tell(w io.Writer, f daemon.Finding) {
	if f.Delivery != "" {
		fmt.Fprintf(w, "%s: delivery is %s\n", f.Pipeline, f.Delivery)
	}
	for _, warning := range f.Warnings {
		fmt.Fprintf(w, "%s: %s\n", f.Pipeline, warning)
	}
}

func plan(w io.Writer, p *config.Pipeline) {
	fmt.Fprintf(w, "%s: %v, group %s, %d worker(s), a checkpoint every %v\n", p.Name, p.Source.Topics, p.Source.Group, p.Workers, p.CommitInterval)
	for _, s := range p.Steps {
		fmt.Fprintf(w, "  %-10s %s\n", s.Verb(), s.Name)
	}
	for _, s := range p.Sinks {
		fmt.Fprintf(w, "  %-10s %s → topic %s\n", "sink", s.Name, s.Topic)
	}
	fmt.Fprintf(w, "  %-10s %s\n", "dlq", "topic "+p.DLQ.Topic)
}
