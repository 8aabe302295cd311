package config

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// pipelineReader reads one pipeline; sinks have names before steps refer to them.
type pipelineReader struct {
	*builder
	p     *Pipeline
	sinks map[string]*Sink
	used  map[*Sink]bool
	steps []at // where the steps of the pipeline stand
}

func (b *builder) pipeline(name string, a at) *Pipeline {
	p := &Pipeline{Name: name, Workers: 1, CommitInterval: time.Second, Limits: b.record, Retry: b.retry, InFlightBytes: 64 << 20,
		Source: Source{Group: name, SessionTimeout: 10 * time.Second, PollRecords: 5000}}
	r := &pipelineReader{builder: b, p: p, sinks: map[string]*Sink{}, used: map[*Sink]bool{}}
	var source, steps, sinks, dlq *at
	keep := func(to **at) func(at) { return func(a at) { *to = &a } }
	if !a.object(fields{
		"description":     func(a at) { p.Description = a.text() },
		"delivery":        delivery,
		"workers":         func(a at) { p.Workers = int(a.count(1, 256)) },
		"commit_interval": func(a at) { p.CommitInterval = a.duration(20*time.Millisecond, time.Minute) },
		"source":          keep(&source), "steps": keep(&steps), "sinks": keep(&sinks), "dlq": keep(&dlq),
		"record_limits": func(a at) { p.Limits = a.recordLimits(p.Limits) },
		"retry":         func(a at) { p.Retry = a.retry(p.Retry) },
		"limits": func(a at) {
			a.object(fields{"in_flight": func(a at) { p.InFlightBytes = a.bytes(1<<20, 1<<30) }, "records_per_second": later, "memory": later})
		},
		"journal": later,
	}) {
		return p
	}
	p.Source.Kafka = r.onlyKafka(a)
	if source == nil {
		a.fail("add source: { topics: [NAME] }", "the source is missing")
	} else {
		r.source(*source)
	}
	p.DLQ = &Sink{Name: "dlq", Kafka: p.Source.Kafka, Topic: name + ".dlq", Linger: defaultLinger}
	if dlq != nil {
		p.DLQ = r.sink("dlq", *dlq)
	}
	if sinks == nil {
		a.fail("add sinks: { out: { topic: NAME } }", "the sinks are missing")
		return p
	}
	sinks.each(func(name string, key, v at) {
		checkName(key, name)
		s := r.sink(name, v)
		r.sinks[name] = s
		p.Sinks = append(p.Sinks, s)
	})
	if steps != nil {
		steps.list(func(a at) {
			p.Steps, r.steps = append(p.Steps, r.step(a, len(p.Steps), false)), append(r.steps, a)
		})
	}
	r.check(*sinks)
	return p
}

func delivery(a at) {
	if a.oneOf("at_least_once", "exactly_once") == "exactly_once" {
		a.fail("use at_least_once", "exactly_once is not available in this version")
	}
}

func decode(a at) {
	if a.oneOf("json", "bytes") == "bytes" {
		a.fail("leave it out: a value that no step looks into is never decoded", "decode: bytes is not available in this version")
	}
}

const defaultLinger = 5 * time.Millisecond

func (r *pipelineReader) onlyKafka(a at) *Kafka {
	if len(r.cfg.Kafka) == 1 {
		for _, k := range r.cfg.Kafka {
			return k
		}
	}
	return nil
}

func pick[T any](a at, what string, from map[string]*T) *T {
	name := a.text()
	if v, ok := from[name]; ok {
		return v
	}
	names := make([]string, 0, len(from))
	for n := range from {
		names = append(names, n)
	}
	a.fail(meant(name, names), "there is no %s named %q", what, name)
	return new(T)
}

func (r *pipelineReader) source(a at) {
	s := &r.p.Source
	a.object(fields{
		"kafka":           func(a at) { s.Kafka = pick(a, "kafka", r.cfg.Kafka) },
		"topics":          func(a at) { a.list(func(a at) { s.Topics = append(s.Topics, a.text()) }) },
		"group":           func(a at) { s.Group = a.text() },
		"start":           func(a at) { r.start(a) },
		"session_timeout": func(a at) { s.SessionTimeout = a.duration(time.Second, 30*time.Minute) },
		"decode":          decode,
		"poll": func(a at) {
			a.object(fields{"records": func(a at) { s.PollRecords = int(a.count(1, 100_000)) }, "bytes": later})
		},
	})
	if len(s.Topics) == 0 {
		a.fail("add topics: [NAME]", "there are no topics")
	}
	if s.Kafka == nil {
		a.fail("add kafka: NAME", "several clusters are named; say which one is read")
		s.Kafka = &Kafka{}
	}
}

func (r *pipelineReader) start(a at) {
	switch v := a.text(); v {
	case "earliest":
	case "latest":
		r.p.Source.Latest = true
	default:
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			a.fail("use earliest, latest or a time such as 2026-01-31T12:00:00Z", "%q is no place to start", v)
		}
		r.p.Source.StartAt = t
	}
}

func (r *pipelineReader) sink(name string, a at) *Sink {
	s := &Sink{Name: name, Kafka: r.p.Source.Kafka, Compression: "none", Linger: defaultLinger}
	a.object(fields{
		"kafka":       func(a at) { s.Kafka = pick(a, "kafka", r.cfg.Kafka) },
		"topic":       func(a at) { s.Topic = a.text() },
		"key":         func(a at) { s.Key = a.fieldPath() },
		"compression": func(a at) { s.Compression = a.oneOf("none", "gzip", "snappy", "lz4", "zstd") },
		"linger":      func(a at) { s.Linger = a.duration(0, time.Minute) },
		"max_rate":    later,
		"on_exceeded": later,
	})
	if s.Topic == "" {
		a.fail("add topic: NAME", "the topic is missing")
	}
	if slices.Contains(r.p.Source.Topics, s.Topic) && s.Kafka == r.p.Source.Kafka {
		a.fail("write to another topic", "the pipeline would read its own output from topic %s", s.Topic)
	}
	return s
}

func (r *pipelineReader) sinkRef(a at) *Sink {
	s := pick(a, "sink", r.sinks)
	r.used[s] = true
	return s
}

// side reads a word, or side:SINK.
func (r *pipelineReader) side(a at, words ...string) (string, *Sink) {
	if name, ok := strings.CutPrefix(a.text(), "side:"); ok {
		n := *a.node
		n.Value = name
		return "side", r.sinkRef(at{a.r, &n, a.path})
	}
	return a.oneOf(append(words, "side:SINK")...), nil
}

func (r *pipelineReader) step(a at, n int, inBranch bool) Step {
	var s Step
	verbs := 0
	verb := func(read func(at)) func(at) { return func(a at) { verbs++; read(a) } }
	onlyTop := func(what string, read func(at)) func(at) {
		return verb(func(a at) {
			if inBranch {
				a.fail("move it before the route", "%s cannot stand in a branch of a route", what)
			}
			read(a)
		})
	}
	a.object(fields{
		"name":      func(a at) { s.Name = a.text(); checkName(a, s.Name) },
		"on_error":  func(a at) { s.OnError = a.oneOf("dlq", "drop", "pass", "retry", "stop") },
		"filter":    verb(func(a at) { s.Filter = r.filter(a) }),
		"transform": verb(func(a at) { s.Transform = r.use(a) }),
		"dedup":     onlyTop("dedup", func(a at) { s.Dedup = r.dedup(a) }),
		"reorder":   onlyTop("reorder", func(a at) { s.Reorder = r.reorder(a) }),
		"route":     onlyTop("route", func(a at) { s.Route = r.route(a) }),
	})
	if verbs != 1 {
		a.fail("one of filter, transform, dedup, reorder, route", "a step has exactly one verb, this one has %d", verbs)
		s = Step{Filter: &Filter{Expr: "true"}}
	}
	if s.OnError == "retry" && s.Filter == nil && s.Transform == nil {
		a.fail("use dlq, drop, pass or stop", "only filter and transform can try a record again: the others would give the same answer")
	}
	if s.Name == "" {
		s.Name = fmt.Sprintf("%s-%d", s.Verb(), n+1)
	}
	return s
}

func (r *pipelineReader) filter(a at) *Filter {
	if a.node.Value != "" {
		return &Filter{Expr: a.predicate()}
	}
	return &Filter{Plugin: r.use(a)}
}

func (r *pipelineReader) use(a at) *PluginUse {
	u := &PluginUse{}
	a.object(fields{
		"plugin": func(a at) { u.Plugin = pick(a, "plugin", r.cfg.Plugins) },
		"wasm": func(a at) {
			u.Plugin = &Plugin{Name: strings.TrimSuffix(a.text(), ".wasm"), Wasm: a.file(), Limits: r.limits}
		},
		"config": func(a at) {
			var v any
			if err := a.node.Decode(&v); err != nil {
				a.fail("", "%v", err)
			}
			var err error
			if u.Config, err = json.Marshal(v); err != nil {
				a.fail("use names, not numbers or lists, as keys", "the configuration cannot be written as JSON")
			}
		},
		"js": later,
		"py": later,
	})
	if u.Plugin == nil {
		a.fail("add plugin: NAME or wasm: FILE", "the plugin is missing")
		u.Plugin = &Plugin{}
	}
	return u
}

func (r *pipelineReader) store(a at) *Redis {
	if len(r.cfg.Redis) == 1 {
		for _, s := range r.cfg.Redis {
			return s
		}
	}
	return nil
}

func (r *pipelineReader) dedup(a at) *Dedup {
	d := &Dedup{Store: r.store(a), Window: 24 * time.Hour, Mode: "drop", OnUnavailable: "stall", OnStateLoss: "rebuild"}
	a.object(fields{
		"store":  func(a at) { d.Store = pick(a, "redis", r.cfg.Redis) },
		"key":    func(a at) { d.Key = a.fieldPath() },
		"window": func(a at) { d.Window = a.duration(time.Second, 366*24*time.Hour) },
		"scope": func(a at) {
			if a.oneOf("partition", "global") == "global" {
				a.fail("use partition", "scope global is not available in this version")
			}
		},
		"mode":           func(a at) { d.Mode, d.Side = r.side(a, "drop", "tag", "observe") },
		"on_unavailable": func(a at) { d.OnUnavailable = a.oneOf("stall", "pass", "fail") },
		"on_state_loss":  func(a at) { d.OnStateLoss = a.oneOf("rebuild", "halt", "accept") },
	})
	if d.Key == "" {
		a.fail("add key: $.id", "the key is missing")
	}
	if d.Store == nil {
		a.fail("add store: NAME", "several stores are named; say which one keeps the state")
	}
	return d
}

func (r *pipelineReader) reorder(a at) *Reorder {
	o := &Reorder{Store: r.store(a), Key: "key", FirstAny: true, MaxWait: 5 * time.Second, MaxBuffered: 100_000, OnGap: "skip", Late: "dlq",
		IdleTimeout: time.Minute, MaxFuture: time.Hour, OnStateLoss: "rebuild"}
	a.object(fields{
		"store":    func(a at) { o.Store = pick(a, "redis", r.cfg.Redis) },
		"key":      func(a at) { o.Key = a.fieldPath() },
		"sequence": func(a at) { o.Sequence = a.fieldPath() },
		"time":     func(a at) { o.Time = a.fieldPath() },
		"first": func(a at) {
			if a.text() != "any" {
				o.FirstAny, o.First = false, a.count(0, math.MaxInt64)
			}
		},
		"max_wait":      func(a at) { o.MaxWait = a.duration(time.Millisecond, 30*24*time.Hour) },
		"max_buffered":  func(a at) { o.MaxBuffered = int(a.count(1, 10_000_000)) },
		"on_gap":        func(a at) { o.OnGap = a.oneOf("skip", "dlq", "halt") },
		"late":          func(a at) { o.Late, o.Side = r.side(a, "dlq", "drop", "pass") },
		"idle_timeout":  func(a at) { o.IdleTimeout = a.duration(time.Second, 24*time.Hour) },
		"max_future":    func(a at) { o.MaxFuture = a.duration(time.Second, 366*24*time.Hour) },
		"on_state_loss": func(a at) { o.OnStateLoss = a.oneOf("rebuild", "halt", "accept") },
	})
	if (o.Sequence == "") == (o.Time == "") {
		a.fail("add sequence: $.seq or time: $.created_at", "reorder goes by exactly one of sequence and time")
	}
	if o.Store == nil {
		a.fail("add store: NAME", "several stores are named; say which one keeps the state")
	}
	return o
}

func (r *pipelineReader) route(a at) *Route {
	route := &Route{}
	a.list(func(a at) {
		var rule Rule
		otherwise := false
		a.object(fields{
			"when":      func(a at) { rule.When = a.predicate() },
			"to":        func(a at) { rule.To = r.sinkRef(a) },
			"steps":     func(a at) { a.list(func(a at) { rule.Steps = append(rule.Steps, r.step(a, len(rule.Steps), true)) }) },
			"otherwise": func(a at) { otherwise = true; route.Otherwise = r.sinkRef(a) },
		})
		switch {
		case otherwise && rule.When == "" && rule.To == nil:
		case rule.When == "" || rule.To == nil || otherwise:
			a.fail("write { when: EXPRESSION, to: SINK } or { otherwise: SINK }", "the rule is not complete")
		default:
			route.Rules = append(route.Rules, rule)
		}
	})
	return route
}

// check looks at the pipeline as a whole.
func (r *pipelineReader) check(sinks at) {
	reorders, names := 0, map[string]bool{}
	for i, s := range r.p.Steps {
		step := r.steps[i]
		switch {
		case s.Dedup != nil && reorders > 0:
			step.fail("move dedup before reorder", "dedup cannot come after reorder: it needs the order of the log")
		case s.Reorder != nil:
			reorders++
		case s.Route != nil && i != len(r.p.Steps)-1:
			step.fail("move it to the end", "route is the last step")
		}
		if reorders > 1 {
			step.fail("", "a pipeline has at most one reorder")
		}
		if names[s.Name] {
			step.fail("give each step a name of its own", "two steps are named %q", s.Name)
		}
		names[s.Name] = true
	}
	free := 0
	for _, s := range r.p.Sinks {
		if !r.used[s] {
			free++
		}
	}
	routed := len(r.p.Steps) > 0 && r.p.Steps[len(r.p.Steps)-1].Route != nil
	switch {
	case routed && free > 0:
		sinks.fail("route to it, or take it out", "%d sink(s) are never written", free)
	case !routed && free != 1:
		sinks.fail("add a route, or leave one sink", "without a route there is one sink besides side sinks, here are %d", free)
	}
}

// Default returns the sink of a pipeline without a route: the one that no step names. It is nil where there is a route.
func (p *Pipeline) Default() *Sink {
	if n := len(p.Steps); n > 0 && p.Steps[n-1].Route != nil {
		return nil
	}
	for _, s := range p.Sinks {
		if !slices.ContainsFunc(p.Steps, func(st Step) bool {
			return st.Dedup != nil && st.Dedup.Side == s || st.Reorder != nil && st.Reorder.Side == s
		}) {
			return s
		}
	}
	return nil
}
