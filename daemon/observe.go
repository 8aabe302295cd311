package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/kafka"
	"github.com/streamproc/streamproc/metrics"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// observer hears what the parts of one pipeline tell, and hands it to its status, to the metrics and, where an operator
// should know, to the log.
type observer struct {
	log     *slog.Logger
	metrics *metrics.Pipeline
	board   *board
	kafka   pulse
}

func newObserver(cfg *config.Pipeline, log *slog.Logger, m *metrics.Registry) *observer {
	sinks := []string{cfg.DLQ.Name}
	for _, s := range cfg.Sinks {
		sinks = append(sinks, s.Name)
	}
	o := &observer{log: log, metrics: m.Pipeline(cfg.Name, sinks), board: newBoard(cfg.Steps)}
	for _, s := range o.board.steps {
		o.metrics.Step(s.Name)
	}
	return o
}

func (o *observer) flow() pipeline.Events {
	return pipeline.Events{State: o.state, Step: o.work, Holding: o.board.holds, Standing: o.stands, Dead: o.dead, Dropped: o.dropped,
		Left:       func(_ int, p stream.Partition) { o.board.left(p) },
		Checkpoint: func(_ int, took time.Duration, err error) { o.metrics.Checkpoint(took, err) },
		Output:     func(sink string, _, bytes int64) { o.metrics.Output(sink, bytes) }}
}

func (o *observer) state(worker int, s pipeline.State, why string) {
	o.board.set(worker, s, why)
	if why != "" {
		o.log.Warn("worker is "+string(s), "worker", worker, "error", why)
		return
	}
	o.log.Info("worker is "+string(s), "worker", worker)
}

func (o *observer) work(w pipeline.Work) {
	var settled map[string]int
	for fate, n := range w.Settled {
		if n > 0 && settled == nil {
			settled = map[string]int{}
		}
		if n > 0 {
			settled[stream.Fate(fate).String()] = n
		}
	}
	o.board.work(w)
	o.metrics.Work(w.Step, w.In, w.Out, settled, w.Took)
}

func (o *observer) stands(worker int, s pipeline.Standing) {
	o.board.stands(worker, s)
	if s.Committed && s.First > 0 {
		o.metrics.EndToEnd(time.Since(time.UnixMilli(s.First)))
	}
}

func (o *observer) dead(c pipeline.Coordinates) {
	o.metrics.Dead(c.Step, c.Reason)
	o.log.Warn("record went to the dead letters", "step", c.Step, "record", c.Record, "reason", c.Reason, "error", c.Message)
}

func (o *observer) dropped(c pipeline.Coordinates) {
	o.metrics.Dropped()
	o.log.Warn("record was dropped, for it has been a dead letter too often: find what copies dead letters back, and stop it",
		"step", c.Step, "record", c.Record, "hops", c.Hops, "reason", c.Reason, "error", c.Message)
}

func (o *observer) client() kafka.Events {
	return kafka.Events{Throttled: o.metrics.Throttled,
		Request: func(name string, took time.Duration, err error) {
			o.kafka.answered(err)
			o.metrics.Kafka(name, took, err)
		},
		Connect: func(err error) {
			if err != nil {
				o.kafka.answered(err)
				o.metrics.KafkaAway()
			}
		}}
}

func (o *observer) dedup(step string) dedup.Events {
	o.metrics.Dedup(step)
	return dedup.Events{
		Judged: func(v dedup.Verdicts) {
			o.board.step(step, func(s *Step) { s.Duplicates += int64(v.Duplicate) })
			o.metrics.Claims(step, v.First, v.Duplicate, v.Unchecked, v.Known)
		},
		Repaired: func(p stream.Partition, from, to int64, how dedup.StateLoss) {
			o.metrics.Repaired(step, string(how))
			o.log.Warn("dedup state was lost and repaired", "step", step, "partition", p.String(), "from", from, "to", to, "how", string(how))
		},
	}
}

func (o *observer) reorder(step string) reorder.Events {
	o.metrics.Reorder(step)
	return reorder.Events{
		Waited: func(d time.Duration) { o.metrics.Waited(step, d) },
		Late:   func(stream.Partition) { o.board.step(step, func(s *Step) { s.Late++ }) },
		Gap: func(p stream.Partition, action string) {
			o.metrics.Gap(step, action)
			o.log.Warn("a gap in the order has timed out", "step", step, "partition", p.String(), "action", action)
		},
		Rebuilt: func(p stream.Partition, keys int, how reorder.StateLoss) {
			o.metrics.Repaired(step, string(how))
			o.log.Warn("reorder state was lost and repaired", "step", step, "partition", p.String(), "keys", keys, "how", string(how))
		},
	}
}

// guest returns what one instance of a plugin tells, and what to call when the instance has ended.
func (o *observer) guest(step string, p *runtime.Plugin) (events runtime.Events, ended func()) {
	m := o.metrics.Plugin(step, p.Name(), p.Digest())
	m.Instances(1)
	for _, name := range p.Metrics() {
		m.Count(name, 0)
	}
	var memory int64
	events = runtime.Events{
		Trap:   func(r stream.Reason) { m.Trap(string(r)) },
		Fuel:   m.Fuel,
		Metric: m.Count,
		Broken: func(pause time.Duration, last *stream.Cause) {
			o.log.Warn("plugin is held to be broken and pauses", "step", step, "plugin", p.Name(), "pause", pause, "reason", string(last.Reason), "error", last.Message)
		},
		Recycled: func(bytes, limit int64, records int) {
			m.Recycled(1)
			o.log.Warn("a plugin's memory grew to near its limit, and it is started anew: does it free what it allocates?",
				"step", step, "plugin", p.Name(), "memory", bytes, "limit", limit, "records", records)
		},
		Memory: func(bytes uint32) {
			m.Memory(int64(bytes) - memory)
			memory = int64(bytes)
		},
	}
	return events, func() {
		m.Instances(-1)
		m.Memory(-memory)
	}
}

// looking returns what a step that looks back tells, and what to call when it has ended.
func (o *observer) looking(step string) (events pipeline.Looking, ended func()) {
	m := o.metrics.LookBack(step)
	var held int64
	events = pipeline.Looking{Again: m.Again, Lack: m.Lack,
		Held: func(bytes int64) {
			m.Held(bytes)
			held += bytes
		}}
	return events, func() { m.Held(-held) }
}

// observe returns what the client of a Redis tells.
func observeRedis(m *metrics.Store, p *pulse) func(string, time.Duration, error) {
	return func(script string, took time.Duration, err error) {
		var timeout interface{ Timeout() bool }
		trouble := ""
		switch {
		case err == nil || errors.Is(err, context.Canceled):
			err = nil
		case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
			trouble = "timeout"
		case errors.Is(err, stream.ErrUnavailable):
			trouble = "unavailable"
		default:
			trouble = "answer"
		}
		p.answered(err)
		m.Request(script, took, trouble)
	}
}

// accounts is what the metrics ask for at each scrape.
func (d *Daemon) accounts() []metrics.Account {
	all := d.Status()
	list := make([]metrics.Account, len(all))
	for i := range all {
		s := &all[i]
		l := s.Ledger
		a := metrics.Account{Pipeline: s.Name, State: string(s.State), Read: l.In, Replayed: l.Replayed, Held: l.Held, Difference: s.Difference, Outputs: s.Outputs, Insecure: s.insecure,
			Settled: map[string]int64{"out": l.Out, "filtered": l.Filtered, "duplicate": l.Duplicates, "late": l.Late, "dead_lettered": l.DeadLettered},
			Oldest:  map[string]time.Duration{}}
		for _, step := range s.Steps {
			if step.Verb == "reorder" {
				a.Oldest[step.Name] = step.oldest
			}
		}
		for _, p := range s.Partitions {
			if p.Owned {
				a.Partitions = append(a.Partitions, metrics.Partition{Topic: p.Topic, ID: strconv.Itoa(int(p.ID)), LagRecords: p.LagRecords,
					Lag: time.Duration(p.LagSeconds * float64(time.Second))})
			}
		}
		list[i] = a
	}
	return list
}
