package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/stream"
)

type runOptions struct {
	files
	output
	only            []string
	healthy, dryRun bool
	watch           bool
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run pipelines until told to stop",
		Long: `Run pipelines until told to stop, and print their ledgers.

TERM and INT drain: the batch at hand is finished, outputs are flushed, offsets
committed, the group is left. A second signal ends the process at once, with 143
or 130; nothing is lost, the work since the last checkpoint is done again.
HUP reads the configuration again, as streamproc reload does and --watch by
itself: what is wrong with it is logged, and the last good one runs on. USR1
writes the state to the log.

Exit codes: 0 drained, 1 a fault, 2 wrong usage, 69 a server is away (that of a
plugin, --require-healthy, on_unavailable: fail), 78 the configuration is
invalid.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &o) },
	}
	o.files.add(cmd)
	o.output.add(cmd)
	cmd.Flags().StringSliceVar(&o.only, "pipeline", nil, "run only the pipelines named")
	cmd.Flags().BoolVar(&o.healthy, "require-healthy", false, "end with 69 if a server is away at the start, instead of waiting for it")
	cmd.Flags().BoolVar(&o.watch, "watch", false, "reload when files of the configuration or of plugins change")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "build everything, print the plan, and run nothing")
	return cmd
}

func run(cmd *cobra.Command, o *runOptions) error {
	spaceCollections()
	cfg, err := o.load()
	if err != nil {
		return err
	}
	log, err := logger(cmd, cfg.Telemetry)
	if err != nil {
		return err
	}
	defer flush(log)
	for _, w := range cfg.Warnings {
		log.Warn(w.Sentence(), "file", w.File, "line", w.Line)
	}
	name := instance(cfg.Instance)
	d, err := daemon.New(cmd.Context(), cfg, daemon.Options{Logger: log, CacheDir: cacheDir(), Compiler: compiler(), Only: o.only, Instance: name, Slot: slots(name, log)})
	if err != nil {
		return unbuilt(err)
	}
	r := &service{cmd: cmd, o: o, cfg: cfg, daemon: d, log: log, instance: name, again: make(chan struct{}, 1)}
	err = r.start()
	if closing := d.Close(context.WithoutCancel(cmd.Context())); err == nil && closing != nil {
		err = &exit{exitFailed, closing}
	}
	return err
}

// service is one run of the daemon.
type service struct {
	cmd      *cobra.Command
	o        *runOptions
	cfg      *config.Config
	daemon   *daemon.Daemon
	log      *slog.Logger
	instance string
	again    chan struct{} // a reload is wanted
}

// start looks at the servers if it is to, and then runs, or only says what would run.
func (r *service) start() error {
	if r.o.healthy {
		if _, found := r.daemon.Check(r.cmd.Context()); len(found) > 0 {
			return &exit{exitAway, errors.Join(found...)}
		}
	}
	if r.o.dryRun {
		return printPlan(r.cmd.OutOrStdout(), &r.o.output, r.cfg, r.o.only)
	}
	endpoint, err := admin.Listen(adminOptions(r.cfg.Admin, r.daemon, r.answer))
	if err != nil {
		return &exit{exitFailed, err}
	}
	return r.work(endpoint)
}

// work runs the pipelines, answers for them over HTTP, and prints their ledgers.
func (r *service) work(endpoint *admin.Endpoint) error {
	ctx, stop := signals(r.cmd.Context(), others{
		hup:  r.want,
		usr1: func() { dump(r.log, r.daemon.Status()) },
	})
	defer stop()
	r.log.Info("running", "pipelines", len(r.daemon.Status()), "instance", r.instance, "admin", endpoint.Addr())
	serving, unserve := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- endpoint.Serve(serving) }()
	var following sync.WaitGroup
	following.Go(func() { r.follow(serving) })
	if r.o.watch {
		following.Go(func() { daemon.Watch(serving, r.log, r.files, r.want) })
	}
	err := r.daemon.Run(ctx)
	unserve()
	following.Wait()
	if trouble := <-served; trouble != nil {
		r.log.Error("the admin endpoint has ended", "error", trouble)
	}
	all := r.daemon.Status()
	printing := r.o.write(r.cmd.OutOrStdout(), all, func(w io.Writer) { ledgers(w, all) })
	switch {
	case errors.Is(err, stream.ErrFailed):
		return &exit{exitAway, err}
	case err != nil:
		return &exit{exitFailed, err}
	}
	return printing
}

// cacheDir is where compiled plugins are kept between runs; none if the system has no place for it.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "streamproc", "plugins")
}
