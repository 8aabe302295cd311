// Package metrics tells Prometheus what the pipelines do. Totals of the ledgers are read when they are asked for; what
// steps, plugins and clients report comes once for a batch, a call or a round trip, so that a record costs next to
// nothing here. It is the only door to client_golang.
package metrics

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry holds the metrics of a process. Its methods are safe for concurrent use.
type Registry struct {
	registry *prometheus.Registry
	counters map[string]*prometheus.CounterVec
	gauges   map[string]*prometheus.GaugeVec
	times    map[string]*prometheus.HistogramVec
}

// New returns a registry that asks look for the accounts at each scrape, possibly several times at once; look must not
// block.
func New(look func() []Account) *Registry {
	r := &Registry{registry: prometheus.NewRegistry(), counters: map[string]*prometheus.CounterVec{},
		gauges: map[string]*prometheus.GaugeVec{}, times: map[string]*prometheus.HistogramVec{}}
	for _, s := range sections {
		for _, f := range s.families {
			r.add(f)
		}
	}
	r.registry.MustRegister(accounts{look}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.gauges["build_info"].WithLabelValues(version(), runtime.Version()).Set(1)
	return r
}

// add makes the vector of a family, unless it is read from the accounts.
func (r *Registry) add(f family) {
	if _, read := descriptions[f.name]; read {
		return
	}
	switch f.kind {
	case counter:
		r.counters[f.name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + f.name, Help: f.help}, f.labels)
		r.registry.MustRegister(r.counters[f.name])
	case gauge:
		r.gauges[f.name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + f.name, Help: f.help}, f.labels)
		r.registry.MustRegister(r.gauges[f.name])
	case histogram:
		r.times[f.name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + f.name, Help: f.help, Buckets: f.buckets}, f.labels)
		r.registry.MustRegister(r.times[f.name])
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// Reloaded tells of a reload that was taken up now, or refused.
func (r *Registry) Reloaded(err error) {
	if err != nil {
		r.gauges["config_last_reload_successful"].WithLabelValues().Set(0)
		return
	}
	r.gauges["config_last_reload_successful"].WithLabelValues().Set(1)
	r.gauges["config_last_reload_success_timestamp_seconds"].WithLabelValues().SetToCurrentTime()
}

// Handler serves the metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{})
}
