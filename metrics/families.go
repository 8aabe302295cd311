package metrics

import (
	"fmt"
	"strings"
)

// kind is what Prometheus calls the type of a metric.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// family describes the metrics of one name. The name is without the prefix, and labels come from the configuration, from
// closed lists of words, or are partitions: never keys, ids or anything else of a record.
type family struct {
	name    string
	kind    kind
	labels  []string
	help    string
	buckets []float64 // of a histogram, in seconds
}

const prefix = "streamproc_"

var (
	aPipeline  = []string{"pipeline"}
	aStep      = []string{"pipeline", "step"}
	aSink      = []string{"pipeline", "sink"}
	aPlugin    = []string{"pipeline", "step", "plugin"}
	aPartition = []string{"pipeline", "topic", "partition"}

	quick   = []float64{10e-6, 40e-6, 160e-6, 640e-6, 2.5e-3, 10e-3, 40e-3, 160e-3, 640e-3, 2.5, 10}
	patient = []float64{1e-3, 5e-3, 25e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600}
)

// section is a group of families that answer one question.
type section struct {
	title    string
	families []family
}

// sections are all the metrics there are, besides those of Go and of the process.
var sections = []section{
	{"The ledger: in = out + filtered + duplicates + held + late + dead-lettered", []family{
		{"records_read_total", counter, aPipeline, "Input records in checkpoints that were committed.", nil},
		{"records_settled_total", counter, []string{"pipeline", "verdict"}, "Input records by what became of them: out, filtered, duplicate, late, dead_lettered.", nil},
		{"records_held", gauge, aPipeline, "Input records that wait in a step.", nil},
		{"records_replayed_total", counter, aPipeline, "Records read again after a restart that were settled before it. They are not in records_read_total.", nil},
		{"ledger_difference", gauge, aPipeline, "Input records unaccounted for, summed over partitions without sign: 0, or the ledger does not close.", nil},
		{"output_records_total", counter, aSink, "Records written in checkpoints that were committed.", nil},
		{"output_bytes_total", counter, aSink, "Bytes of the keys and values of these records.", nil},
		{"dead_letters_total", counter, []string{"pipeline", "step", "reason"}, "Records sent to the dead letters, when it was decided: what was done again is counted again.", nil},
		{"dead_letters_dropped_total", counter, aPipeline, "Records that could not be processed and were dropped, for they have been dead letters 16 times: something copies them back. They are filtered, or late, in the ledger.", nil},
	}},
	{"Time", []family{
		{"end_to_end_seconds", histogram, aPipeline, "From a record's timestamp to the commit of the checkpoint that read it: of the first record of each partition in each checkpoint, which waited longest.", patient},
		{"checkpoint_duration_seconds", histogram, aPipeline, "Flush of the outputs, storing of state and commit of the offsets.", quick},
		{"checkpoints_total", counter, []string{"pipeline", "result"}, "Checkpoints: committed, or failed and done again.", nil},
		{"consumer_lag_records", gauge, aPartition, "Offsets between what is committed and the end of the partition, as of the last checkpoint of its owner.", nil},
		{"consumer_lag_seconds", gauge, aPartition, "Age of the last record read while there are more to read, else 0.", nil},
	}},
	{"Steps, as they work: what is done again after a crash is counted again", []family{
		{"step_records_in_total", counter, aStep, "Records that came to a step.", nil},
		{"step_records_out_total", counter, aStep, "Records that went on from a step.", nil},
		{"step_records_settled_total", counter, []string{"pipeline", "step", "verdict"}, "Records that left the flow at a step; those of a route include those of its branches.", nil},
		{"step_duration_seconds", histogram, aStep, "Time of a step for one batch. Divided by step_records_in_total it is the time per record.", quick},
	}},
	{"Plugins", []family{
		{"plugin_info", gauge, []string{"pipeline", "step", "plugin", "sha256"}, "1 for each module in use.", nil},
		{"plugin_instances", gauge, aPlugin, "Instances alive: one for each worker.", nil},
		{"plugin_memory_bytes", gauge, aPlugin, "Linear memory of these instances.", nil},
		{"plugin_fuel_total", counter, aPlugin, "Fuel that calls have spent; a unit is about a simple instruction. Divided by step_records_in_total it is the fuel per record.", nil},
		{"plugin_counts_total", counter, []string{"pipeline", "step", "plugin", "metric"}, "What plugins count themselves, by the names in `metrics` of the plugin. Records that are read again, or handed over again, are counted again.", nil},
		{"plugin_recycled_total", counter, aPlugin, "Times that an instance was started anew between two batches because its memory had grown to seven eighths of its limit: it costs no record. Does the plugin free what it allocates?", nil},
		{"look_back_held_bytes", gauge, aStep, "What the records take that are kept for `look_back`, in all workers. At `look_back_memory`, for each worker, the oldest are let go.", nil},
		{"look_back_again_total", counter, aStep, "Records that were given to a plugin with `look_back` again, after a trap or a reload.", nil},
		{"look_back_lacking_total", counter, aStep, "Times that the memory of a plugin with `look_back` was made again without records that it ought to have, for want of `look_back_memory` or because too many had cost it: its answers may differ.", nil},
		{"plugin_traps_total", counter, []string{"pipeline", "step", "plugin", "reason"}, "Calls that failed and cost the instance: trap, fuel, depth, contract, limit, and error where a script threw.", nil},
	}},
	{"State: dedup, reorder and Redis", []family{
		{"dedup_claims_total", counter, []string{"pipeline", "step", "result"}, "Verdicts: first, duplicate, and unchecked while Redis was away. Redelivered records are counted once more, as redelivered too.", nil},
		{"state_repairs_total", counter, []string{"pipeline", "step", "how"}, "Times that a partition's state was found lost: rebuild, accept.", nil},
		{"reorder_wait_seconds", histogram, aStep, "How long records were held that had to wait for a later batch.", patient},
		{"reorder_oldest_held_seconds", gauge, aStep, "How long the record of the lowest offset has been held, as of the last checkpoint; 0 if none is.", nil},
		{"reorder_gaps_total", counter, []string{"pipeline", "step", "action"}, "Gaps that were given up: skip, dlq, or forced because too much was held.", nil},
		{"redis_request_duration_seconds", histogram, []string{"store", "script"}, "One round trip.", quick},
		{"redis_errors_total", counter, []string{"store", "kind"}, "Round trips that failed: unavailable, timeout, answer.", nil},
	}},
	{"Kafka", []family{
		{"kafka_request_duration_seconds", histogram, []string{"pipeline", "request"}, "From writing a request to reading its answer. A Fetch waits for data.", quick},
		{"kafka_errors_total", counter, []string{"pipeline", "kind"}, "Connections and requests that failed: connect, request.", nil},
		{"kafka_throttled_seconds_total", counter, aPipeline, "Time for which brokers asked us to wait.", nil},
	}},
	{"The process", []family{
		{"config_last_reload_successful", gauge, nil, "1 if the last reload was taken up, or there was none; 0 if it was refused and the last good configuration runs on.", nil},
		{"config_last_reload_success_timestamp_seconds", gauge, nil, "When the configuration that runs was taken up.", nil},
		{"build_info", gauge, []string{"version", "goversion"}, "1.", nil},
		{"pipeline_state", gauge, []string{"pipeline", "state"}, "1 for the state that a pipeline is in, 0 for the others.", nil},
		{"insecure_servers", gauge, aPipeline, "Kafka clusters and Redis of a pipeline with `insecure_skip_verify`, whose certificates nobody checks: 0, or whoever stands in between reads and changes everything.", nil},
	}},
}

// find returns the family of a name. There is one, or the program does not start.
func find(name string) family {
	for _, s := range sections {
		for _, f := range s.families {
			if f.name == name {
				return f
			}
		}
	}
	panic("no metric is described as " + name)
}

// Names returns the full name of every family.
func Names() (names []string) {
	for _, s := range sections {
		for _, f := range s.families {
			names = append(names, prefix+f.name)
		}
	}
	return names
}

// absent are metrics that one may look for, with the reason why they are not there.
var absent = [][2]string{
	{"dedup_duplicate_age_seconds", "dedup keeps digests without the time at which an id was first seen; a time would double the memory of an id."},
	{"plugin_fuel_used_ratio", "fuel is counted (plugin_fuel_total); how near the limit a single call came is not."},
	{"plugin_info{version}", "ABI sp1 has no version of a plugin; sha256 says which bytes run."},
}

// Reference is the documentation of the metrics, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\nGenerated from `metrics/families.go` by `go test ./metrics -update`.\n\n" +
		"`GET /metrics` of the admin endpoint, in Prometheus' text format. Names begin with `" + prefix + "`. Labels come from the\n" +
		"configuration, from the words given here, or are partitions; no key, id or other part of a record is ever a label. Beside\n" +
		"these are the collectors of Go (`go_…`) and of the process (`process_…`).\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| name | type | labels | meaning |\n|---|---|---|---|\n", s.title)
		for _, f := range s.families {
			fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", prefix, f.name, f.kind, strings.Join(f.labels, ", "), f.help)
		}
	}
	b.WriteString("\n## Not there\n\n| name | why |\n|---|---|\n")
	for _, a := range absent {
		fmt.Fprintf(&b, "| `%s` | %s |\n", a[0], a[1])
	}
	return b.String()
}
