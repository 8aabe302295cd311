// Package metrics tells Prometheus what the ledgers say. It reads them when it is asked, so that a record costs nothing
// here. It is the only door to client_golang.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Pipeline is the account of one pipeline. Names come from the configuration, so labels are bounded by it.
type Pipeline struct {
	Name, State      string
	Read, Held, Open int64            // Open: the difference of the ledger
	Settled          map[string]int64 // by verdict
	Outputs          map[string]int64 // by sink
}

var (
	read       = desc("records_read_total", "Input records read, as of the last checkpoint.")
	settled    = desc("records_settled_total", "Input records by what became of them.", "verdict")
	held       = desc("records_held", "Input records that wait in a step.")
	difference = desc("ledger_difference", "Input records unaccounted for: 0, or the ledger does not close.")
	outputs    = desc("output_records_total", "Records written, by sink.", "sink")
	state      = desc("pipeline_state", "1 for the state the pipeline is in.", "state")
	build      = prometheus.NewDesc("streamproc_build_info", "What was built.", []string{"version", "goversion"}, nil)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("streamproc_"+name, help, append([]string{"pipeline"}, labels...), nil)
}

type ledgers struct {
	version, goVersion string
	look               func() []Pipeline
}

// Handler serves the metrics. It calls look at each scrape, possibly several times at once; look must not block.
func Handler(version, goVersion string, look func() []Pipeline) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(ledgers{version, goVersion, look}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (ledgers) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{read, settled, held, difference, outputs, state, build} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (l ledgers) Collect(ch chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, kind prometheus.ValueType, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	put(build, prometheus.GaugeValue, 1, l.version, l.goVersion)
	for _, p := range l.look() {
		put(read, prometheus.CounterValue, p.Read, p.Name)
		put(held, prometheus.GaugeValue, p.Held, p.Name)
		put(difference, prometheus.GaugeValue, p.Open, p.Name)
		put(state, prometheus.GaugeValue, 1, p.Name, p.State)
		for verdict, n := range p.Settled {
			put(settled, prometheus.CounterValue, n, p.Name, verdict)
		}
		for sink, n := range p.Outputs {
			put(outputs, prometheus.CounterValue, n, p.Name, sink)
		}
	}
}
