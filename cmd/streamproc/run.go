package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/stream"
)

func runCommand() *cobra.Command {
	var paths, only []string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run pipelines until told to stop",
		Long: `Run pipelines until told to stop.

TERM and INT drain: the batch at hand is finished, outputs are flushed, offsets
committed, the group is left. A second signal ends the process at once; nothing
is lost, the work since the last checkpoint is done again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, paths, only) },
	}
	cmd.Flags().StringSliceVarP(&paths, "config", "c", []string{"pipelines.yaml"}, "file, or folder of *.yaml")
	cmd.Flags().StringSliceVar(&only, "pipeline", nil, "run only the pipelines named")
	return cmd
}

func run(cmd *cobra.Command, paths, only []string) error {
	cfg, err := config.Load(config.Options{Paths: paths})
	if err != nil {
		return err
	}
	log, err := logger(cmd, cfg.Telemetry)
	if err != nil {
		return err
	}
	defer flush(log)
	name, release := instance(cfg.Instance, log)
	defer release()
	d, err := daemon.New(cmd.Context(), cfg, daemon.Options{Logger: log, CacheDir: cacheDir(), Compiler: compiler(), Only: only, Instance: name})
	if err != nil {
		return &exit{exitInvalid, err}
	}
	ctx, stop := signals(context.Background(), func(s os.Signal) {
		log.Warn("a reload is not available in this version; restart to take up a new configuration", "signal", s.String())
	})
	defer stop()
	log.Info("running", "pipelines", len(d.Status()), "instance", name)
	serving, unserve := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	go func() { defer close(served); serve(serving, cfg.Admin, d, log) }()
	err = d.Run(ctx)
	unserve()
	<-served
	for _, s := range d.Status() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", s.Name, s.Ledger)
	}
	if closing := d.Close(context.WithoutCancel(ctx)); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, stream.ErrFailed):
		return &exit{exitAway, err}
	case err != nil:
		return &exit{exitFailed, err}
	}
	return nil
}

// signals ends the context at the first TERM or INT, and the process at the second; HUP goes to hup.
func signals(parent context.Context, hup func(os.Signal)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		for s := range ch {
			switch {
			case s == syscall.SIGHUP:
				hup(s)
			case ctx.Err() != nil:
				os.Exit(128 + int(s.(syscall.Signal))) //nolint:forcetypeassert // signals of this system are
			default:
				cancel()
			}
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel() }
}

// cacheDir is where compiled plugins are kept between runs; none if the system has no place for it.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "streamproc", "plugins")
}
