package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/kafka"
	"github.com/streamproc/streamproc/pipeline"
)

// diagnoseEvery is how often a pipeline that does not get going, or stands still, is looked into.
const diagnoseEvery = 10 * time.Second

// diagnose says why a pipeline has no partitions, or has them and stands still: a client that waits for a coordinator, a
// topic, a login or the end of a transaction is silent.
func (r *running) diagnose(ctx context.Context) {
	r.announce(ctx)
	cluster, err := clusterOf(r.cfg.Source.Kafka, r.built.Load().options.Dial)
	if err != nil {
		return // its pipeline could not be built either
	}
	watch := kafka.NewWatch(*cluster, r.built.Load().group(r.name, 0), r.built.Load().outputs(), r.log)
	defer watch.Close()
	read := int64(-1)
	for first := true; ; first = false {
		wait := diagnoseEvery
		if first {
			wait /= 2
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if s, why := r.board.state(); s == pipeline.Starting && why == "" {
			r.look(ctx)
		}
		if now := r.spec.Ledger.Counts().In; now != read {
			read = now
			r.board.stuck("")
			continue
		}
		r.stuck(watch.Look(ctx, time.Now()))
	}
}

// stuck notes what makes the pipeline stand still, and tells it once.
func (r *running) stuck(found []error) {
	var all []string
	for _, err := range found {
		all = append(all, err.Error())
	}
	slices.Sort(all)
	trouble := strings.Join(all, "; ")
	if s, _ := r.board.state(); trouble != "" && s != pipeline.Stalled {
		r.log.Error("the pipeline stands still", "error", trouble)
	}
	r.board.stuck(trouble)
}

// announce says what delivery the brokers really give.
func (r *running) announce(ctx context.Context) {
	if !r.cfg.ExactlyOnce && !r.cfg.Source.Consumer {
		return
	}
	report := r.check(ctx) // what it found wrong is said once the pipeline has had its time to start
	if report.Level != "" {
		r.log.Info("delivery is " + string(report.Level))
	}
	for _, w := range report.Warnings {
		r.log.Warn(w)
	}
}

// look notes what keeps a pipeline from starting.
func (r *running) look(ctx context.Context) {
	found := r.check(ctx).Errors
	for _, err := range found {
		r.log.Error("the pipeline cannot start yet", "error", err)
	}
	if err := errors.Join(found...); err != nil && ctx.Err() == nil {
		r.board.set(0, pipeline.Starting, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

func (r *running) check(ctx context.Context) kafka.Report {
	return r.built.Load().check(ctx)
}

// check asks the cluster of the source whether the pipeline could run.
func (b *builder) check(ctx context.Context) kafka.Report {
	cluster, err := clusterOf(b.cfg.Source.Kafka, b.options.Dial)
	if err != nil {
		return kafka.Report{Errors: []error{err}}
	}
	return kafka.Check(ctx, *cluster, b.group(b.options.Instance, 0), b.outputs(), b.log)
}

// outputs are those on the cluster of the source.
func (b *builder) outputs() (outputs []kafka.Output) {
	for _, s := range append(append([]*config.Sink{}, b.cfg.Sinks...), b.cfg.DLQ) {
		if s.Kafka == b.cfg.Source.Kafka {
			outputs = append(outputs, kafka.Output{Topic: s.Topic, Internal: s.Internal})
		}
	}
	return outputs
}

// Finding is what was found out about the servers of one pipeline.
type Finding struct {
	Pipeline string
	Delivery string // at_least_once, or the level of transactions that the brokers give; "" if they do not answer
	Warnings []string
}

// Check asks every dependency whether the pipelines could run. Each error is a sentence with its remedy.
func (d *Daemon) Check(ctx context.Context) (findings []Finding, found []error) {
	stores, lookups := map[*store]bool{}, map[lookup]bool{}
	for _, r := range d.running() {
		report := r.check(ctx)
		f := Finding{Pipeline: r.cfg.Name, Delivery: "at_least_once", Warnings: report.Warnings}
		if r.cfg.ExactlyOnce {
			f.Delivery = string(report.Level)
		}
		built := r.built.Load()
		for _, store := range built.stores {
			stores[store] = true
		}
		for _, l := range built.lookups {
			lookups[l] = true
		}
		warnings, err := built.inspect(ctx)
		f.Warnings = append(f.Warnings, warnings...)
		findings = append(findings, f)
		if err != nil {
			found = append(found, fmt.Errorf("pipeline %s: %w", r.cfg.Name, err))
		}
		for _, err := range report.Errors {
			found = append(found, fmt.Errorf("pipeline %s: %w", r.cfg.Name, err))
		}
	}
	for store := range stores {
		if err := store.Ping(ctx); err != nil {
			found = append(found, fmt.Errorf("redis %s at %v: %w", store.cfg.Name, store.cfg.Addrs, err))
		}
	}
	for l := range lookups {
		if err := l.Ping(ctx); err != nil {
			found = append(found, fmt.Errorf("redis %s at %v, which plugins read: %w", l.store.cfg.Name, l.store.cfg.Addrs, err))
		}
	}
	return findings, found
}
