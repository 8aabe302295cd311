package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/streamproc/streamproc/daemon"
)

// others are the signals that do not end the process, and what they do; nil: nothing.
type others struct{ hup, usr1 func() }

// signals ends the context at the first TERM or INT, and the process at the second.
func signals(parent context.Context, o others) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	heed := func(f func()) {
		if f != nil {
			f()
		}
	}
	go func() {
		for s := range ch {
			switch {
			case s == syscall.SIGHUP:
				heed(o.hup)
			case s == syscall.SIGUSR1:
				heed(o.usr1)
			case ctx.Err() != nil:
				os.Exit(128 + int(s.(syscall.Signal))) // signals of this system are
			default:
				cancel()
			}
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel() }
}

// dump writes to the log what the process is doing: a line for itself, and one for each pipeline.
func dump(log *slog.Logger, all []daemon.Status) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	log.Info("state of the process", "goroutines", runtime.NumGoroutine(), "heap_bytes", m.HeapAlloc, "from_system_bytes", m.Sys-m.HeapReleased)
	for _, s := range all {
		steps, partitions := []string{}, []string{}
		for _, st := range s.Steps {
			steps = append(steps, fmt.Sprintf("%s %s: in %d, out %d, held %d", st.Verb, st.Name, st.In, st.Out, st.Held))
		}
		for _, p := range s.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s/%d: owned %t, floor %d, end %d, held %d", p.Topic, p.ID, p.Owned, p.Floor, p.End, p.Ledger.Held))
		}
		log.Info("state of the pipeline", "pipeline", s.Name, "state", string(s.State), "why", s.Why, "checks", s.Checks,
			"ledger", s.Ledger.String(), "steps", steps, "partitions", partitions)
	}
}
