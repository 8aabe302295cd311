package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Account is what is known about one pipeline when a scrape asks.
type Account struct {
	Pipeline, State string
	Read, Replayed  int64
	Held            int64
	Difference      int64            // of the ledger
	Settled         map[string]int64 // by verdict
	Outputs         map[string]int64 // by sink
	Partitions      []Partition
	Oldest          map[string]time.Duration // by step that holds records: how long the oldest has waited
	Insecure        int                      // servers whose certificate is not checked
}

// Partition is how far the reading of one partition is behind.
type Partition struct {
	Topic, ID  string
	LagRecords int64
	Lag        time.Duration
}

// States are the values of the label state.
var States = []string{"starting", "running", "stalled", "rebuilding", "halted", "stopped"}

// descriptions are those of the families that are read from the accounts.
var descriptions = describe("records_read_total", "records_settled_total", "records_held", "records_replayed_total", "ledger_difference",
	"output_records_total", "consumer_lag_records", "consumer_lag_seconds", "reorder_oldest_held_seconds", "pipeline_state", "insecure_servers")

func describe(names ...string) map[string]*prometheus.Desc {
	m := map[string]*prometheus.Desc{}
	for _, name := range names {
		f := find(name)
		m[name] = prometheus.NewDesc(prefix+f.name, f.help, f.labels, nil)
	}
	return m
}

// accounts is a prometheus.Collector of what look returns.
type accounts struct{ look func() []Account }

// Describe implements prometheus.Collector.
func (accounts) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (a accounts) Collect(ch chan<- prometheus.Metric) {
	for _, account := range a.look() {
		account.collect(func(name string, v float64, labels ...string) {
			kind := prometheus.GaugeValue
			if find(name).kind == counter {
				kind = prometheus.CounterValue
			}
			ch <- prometheus.MustNewConstMetric(descriptions[name], kind, v, append([]string{account.Pipeline}, labels...)...)
		})
	}
}

func (a *Account) collect(put func(name string, v float64, labels ...string)) {
	put("records_read_total", float64(a.Read))
	put("records_replayed_total", float64(a.Replayed))
	put("records_held", float64(a.Held))
	put("ledger_difference", float64(a.Difference))
	put("insecure_servers", float64(a.Insecure))
	for verdict, n := range a.Settled {
		put("records_settled_total", float64(n), verdict)
	}
	for sink, n := range a.Outputs {
		put("output_records_total", float64(n), sink)
	}
	for _, state := range States {
		is := 0.0
		if state == a.State {
			is = 1
		}
		put("pipeline_state", is, state)
	}
	for _, p := range a.Partitions {
		put("consumer_lag_records", float64(p.LagRecords), p.Topic, p.ID)
		put("consumer_lag_seconds", p.Lag.Seconds(), p.Topic, p.ID)
	}
	for step, d := range a.Oldest {
		put("reorder_oldest_held_seconds", d.Seconds(), step)
	}
}
