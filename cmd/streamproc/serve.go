package main

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/metrics"
)

// serve answers for the daemon over HTTP until ctx ends. A daemon whose endpoint cannot listen goes on: records matter more.
func serve(ctx context.Context, c config.Admin, d *daemon.Daemon, log *slog.Logger) {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	o := admin.Options{Listen: c.Listen, Token: c.Token.Reveal(), Debug: c.Debug, Insecure: c.Insecure, Hosts: c.Hosts, Version: version,
		Status:  func() []admin.Pipeline { return statuses(d.Status()) },
		Metrics: metrics.Handler(version, runtime.Version(), func() []metrics.Pipeline { return accounts(d.Status()) })}
	if err := admin.Serve(ctx, o, func(addr string) { log.Info("admin is listening", "address", addr) }); err != nil {
		log.Error("there is no admin endpoint", "error", err)
	}
}

func statuses(all []daemon.Status) []admin.Pipeline {
	list := make([]admin.Pipeline, len(all))
	for i, s := range all {
		list[i] = admin.Pipeline{Name: s.Name, State: string(s.State), Why: s.Why, Ready: s.Ready, Detail: s}
	}
	return list
}

func accounts(all []daemon.Status) []metrics.Pipeline {
	list := make([]metrics.Pipeline, len(all))
	for i, s := range all {
		l := s.Ledger
		list[i] = metrics.Pipeline{Name: s.Name, State: string(s.State), Read: l.In, Held: l.Held, Open: l.Difference(), Outputs: s.Outputs,
			Settled: map[string]int64{"out": l.Out, "filtered": l.Filtered, "duplicate": l.Duplicates, "late": l.Late, "dead_lettered": l.DeadLettered}}
	}
	return list
}
