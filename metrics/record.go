package metrics

import "time"

// The closed lists of words that labels are made of. They are shown as 0 from the beginning, so that an alert on a
// difference sees the first one.
var (
	results  = []string{"committed", "failed"}
	claims   = []string{"first", "duplicate", "unchecked", "redelivered"}
	gaps     = []string{"skip", "dlq", "forced"}
	repairs  = []string{"rebuild", "accept"}
	traps    = []string{"trap", "fuel", "depth", "contract", "limit", "error"}
	troubles = []string{"unavailable", "timeout", "answer"}
	failures = []string{"connect", "request"}
	verdicts = []string{"filtered", "duplicate", "late", "dead_lettered"}
)

func (r *Registry) count(name string, n float64, labels ...string) {
	r.counters[name].WithLabelValues(labels...).Add(n)
}

// zero makes a counter exist for each of the words that its last label may be.
func (r *Registry) zero(name string, words []string, labels ...string) {
	for _, w := range words {
		r.count(name, 0, append(labels[:len(labels):len(labels)], w)...)
	}
}

// exist makes histograms exist before the first observation.
func (r *Registry) exist(labels []string, names ...string) {
	for _, name := range names {
		r.times[name].WithLabelValues(labels...)
	}
}

func (r *Registry) time(name string, took time.Duration, labels ...string) {
	r.times[name].WithLabelValues(labels...).Observe(took.Seconds())
}

// Pipeline is where one pipeline reports.
type Pipeline struct {
	r    *Registry
	name string
}

// Pipeline makes the metrics of a pipeline exist.
func (r *Registry) Pipeline(name string, sinks []string) *Pipeline {
	r.zero("checkpoints_total", results, name)
	r.zero("kafka_errors_total", failures, name)
	r.zero("output_bytes_total", sinks, name)
	r.count("kafka_throttled_seconds_total", 0, name)
	r.count("dead_letters_dropped_total", 0, name)
	r.exist([]string{name}, "end_to_end_seconds", "checkpoint_duration_seconds")
	return &Pipeline{r, name}
}

// Checkpoint tells of a checkpoint that was committed, or not.
func (p *Pipeline) Checkpoint(took time.Duration, err error) {
	p.r.time("checkpoint_duration_seconds", took, p.name)
	result := results[0]
	if err != nil {
		result = results[1]
	}
	p.r.count("checkpoints_total", 1, p.name, result)
}

// EndToEnd tells how long a record took from its timestamp to the commit. A clock that is ahead of ours counts as 0.
func (p *Pipeline) EndToEnd(took time.Duration) { p.r.time("end_to_end_seconds", max(took, 0), p.name) }

// Output tells of the bytes that a committed checkpoint has written to a sink.
func (p *Pipeline) Output(sink string, bytes int64) {
	p.r.count("output_bytes_total", float64(bytes), p.name, sink)
}

// Dead tells of a dead letter.
func (p *Pipeline) Dead(step, reason string) {
	p.r.count("dead_letters_total", 1, p.name, step, reason)
}

// Dropped tells of a record that has been a dead letter too often.
func (p *Pipeline) Dropped() { p.r.count("dead_letters_dropped_total", 1, p.name) }

// Kafka tells of an answer of a broker.
func (p *Pipeline) Kafka(request string, took time.Duration, err error) {
	p.r.time("kafka_request_duration_seconds", took, p.name, request)
	if err != nil {
		p.r.count("kafka_errors_total", 1, p.name, failures[1])
	}
}

// KafkaAway tells that a broker could not be connected to.
func (p *Pipeline) KafkaAway() { p.r.count("kafka_errors_total", 1, p.name, failures[0]) }

// Throttled tells for how long a broker asks us to wait.
func (p *Pipeline) Throttled(wait time.Duration) {
	p.r.count("kafka_throttled_seconds_total", wait.Seconds(), p.name)
}

// Work tells what a step did with one batch; settled is by verdict.
func (p *Pipeline) Work(step string, in, out int, settled map[string]int, took time.Duration) {
	p.r.count("step_records_in_total", float64(in), p.name, step)
	p.r.count("step_records_out_total", float64(out), p.name, step)
	for verdict, n := range settled {
		p.r.count("step_records_settled_total", float64(n), p.name, step, verdict)
	}
	p.r.time("step_duration_seconds", took, p.name, step)
}

// Step makes the metrics of a step exist.
func (p *Pipeline) Step(step string) {
	p.r.zero("step_records_settled_total", verdicts, p.name, step)
	p.r.count("step_records_in_total", 0, p.name, step)
	p.r.count("step_records_out_total", 0, p.name, step)
	p.r.exist([]string{p.name, step}, "step_duration_seconds")
}

// Dedup makes the metrics of a dedup step exist.
func (p *Pipeline) Dedup(step string) {
	p.r.zero("dedup_claims_total", claims, p.name, step)
	p.r.zero("state_repairs_total", repairs, p.name, step)
}

// Claims tells of the verdicts of one batch.
func (p *Pipeline) Claims(step string, first, duplicate, unchecked, redelivered int) {
	for i, n := range []int{first, duplicate, unchecked, redelivered} {
		p.r.count("dedup_claims_total", float64(n), p.name, step, claims[i])
	}
}

// Repaired tells that the state of a partition was lost, and what was done.
func (p *Pipeline) Repaired(step, how string) { p.r.count("state_repairs_total", 1, p.name, step, how) }

// Reorder makes the metrics of a reorder step exist.
func (p *Pipeline) Reorder(step string) {
	p.r.zero("reorder_gaps_total", gaps, p.name, step)
	p.r.exist([]string{p.name, step}, "reorder_wait_seconds")
	p.r.zero("state_repairs_total", repairs, p.name, step)
}

// Waited tells how long a record was held.
func (p *Pipeline) Waited(step string, d time.Duration) {
	p.r.time("reorder_wait_seconds", d, p.name, step)
}

// Gap tells that a gap was given up.
func (p *Pipeline) Gap(step, action string) { p.r.count("reorder_gaps_total", 1, p.name, step, action) }

// Plugin is where the instances of one plugin in one step report.
type Plugin struct {
	r      *Registry
	labels []string
}

// Plugin makes the metrics of a plugin in a step exist.
func (p *Pipeline) Plugin(step, plugin, sha256 string) *Plugin {
	g := &Plugin{p.r, []string{p.name, step, plugin}}
	p.r.gauges["plugin_info"].WithLabelValues(p.name, step, plugin, sha256).Set(1)
	p.r.zero("plugin_traps_total", traps, g.labels...)
	g.Instances(0)
	g.Memory(0)
	g.Fuel(0)
	g.Recycled(0)
	return g
}

// PluginGone tells that a module is no longer in use in a step.
func (p *Pipeline) PluginGone(step, plugin, sha256 string) {
	p.r.gauges["plugin_info"].DeleteLabelValues(p.name, step, plugin, sha256)
}

// Instances tells how many instances more, or fewer, there are.
func (g *Plugin) Instances(n int) {
	g.r.gauges["plugin_instances"].WithLabelValues(g.labels...).Add(float64(n))
}

// Memory tells by how many bytes the memory of an instance has grown, or shrunk.
func (g *Plugin) Memory(bytes int64) {
	g.r.gauges["plugin_memory_bytes"].WithLabelValues(g.labels...).Add(float64(bytes))
}

// Fuel is what calls have spent.
func (g *Plugin) Fuel(units int64) { g.r.count("plugin_fuel_total", float64(units), g.labels...) }

// Count is what the plugin counts itself, under a name of the configuration. It goes up only: what is below 0 is left out.
func (g *Plugin) Count(name string, delta int64) {
	if delta >= 0 {
		g.r.count("plugin_counts_total", float64(delta), append(g.labels[:len(g.labels):len(g.labels)], name)...)
	}
}

// Trap tells that a call has cost an instance.
func (g *Plugin) Trap(reason string) {
	g.r.count("plugin_traps_total", 1, append(g.labels[:len(g.labels):len(g.labels)], reason)...)
}

// Recycled tells of instances that were started anew before their memory was full.
func (g *Plugin) Recycled(instances int) {
	g.r.count("plugin_recycled_total", float64(instances), g.labels...)
}

// LookBack is where the steps of one name that look back report.
type LookBack struct {
	r      *Registry
	labels []string
}

// LookBack makes the metrics of a step that looks back exist.
func (p *Pipeline) LookBack(step string) *LookBack {
	l := &LookBack{p.r, []string{p.name, step}}
	l.Held(0)
	l.Again(0)
	l.r.count("look_back_lacking_total", 0, l.labels...)
	return l
}

// Held tells by how many bytes what is kept has grown, or shrunk.
func (l *LookBack) Held(bytes int64) {
	l.r.gauges["look_back_held_bytes"].WithLabelValues(l.labels...).Add(float64(bytes))
}

// Again tells of records that were given again.
func (l *LookBack) Again(records int) {
	l.r.count("look_back_again_total", float64(records), l.labels...)
}

// Lack tells of a memory that was made again in part.
func (l *LookBack) Lack() { l.r.count("look_back_lacking_total", 1, l.labels...) }

// Store is where the client of one Redis reports.
type Store struct {
	r    *Registry
	name string
}

// Store makes the metrics of a Redis exist.
func (r *Registry) Store(name string) *Store {
	r.zero("redis_errors_total", troubles, name)
	return &Store{r, name}
}

// Request tells of one round trip; trouble is "" or one of unavailable, timeout, answer.
func (s *Store) Request(script string, took time.Duration, trouble string) {
	s.r.time("redis_request_duration_seconds", took, s.name, script)
	if trouble != "" {
		s.r.count("redis_errors_total", 1, s.name, trouble)
	}
}
