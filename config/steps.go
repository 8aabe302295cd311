package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// verbs of steps; a step has one.
var verbs = []string{"filter", "transform", "dedup", "reorder", "route"}

// step reads one step and puts it at the end of a list: that of the pipeline (top), or of a branch of a route.
func (r *pipelineReader) step(into *[]Step, top bool) value {
	s := Step{}
	read := one(verbs, func() settings {
		list := settings{
			{name: "name", doc: "The name of the step, in metrics, logs and dead letters. The state of dedup and reorder belongs to it.", value: name(&s.Name).unset("the verb and the position, such as dedup-2")},
			{name: "on_error", doc: "What becomes of a record that the step cannot process. `pass` lets the input go on, `retry` tries it again, then dlq, `stop` halts before it.", value: onError(&s.OnError)},
			{name: "filter", doc: "Keeps the records for which an expression or a plugin says yes.", value: r.filter(&s)},
			{name: "transform", doc: "Makes of one record none, one or many, with a plugin.", value: r.transform(&s)},
		}
		if !top {
			for _, verb := range []string{"dedup", "reorder", "route"} {
				list = append(list, setting{name: verb, value: misplaced(verb)})
			}
			return list
		}
		return append(list,
			setting{name: "dedup", doc: "Drops what has been there before.", value: r.dedup(&s)},
			setting{name: "reorder", doc: "Restores the order of each key, by a sequence or by event time.", value: r.reorder(&s)},
			setting{name: "route", doc: "Sends each record to the sink of the first rule that matches. It is the last step.", value: r.route(&s)},
		)
	})
	return read.then(func(a at) {
		if s.OnError == "retry" && (s.Dedup != nil || s.Reorder != nil || s.Route != nil) {
			a.fail(conflict, "use dlq, drop, pass or stop", "only filter and transform can try a record again: the others would give the same answer")
		}
		if u := s.plugin(); u != nil && u.LookBack > 0 {
			checkLookBack(a, &s, top)
		}
		if s.Name == "" {
			s.Name = fmt.Sprintf("%s-%d", s.Verb(), len(*into)+1)
		}
		if top {
			r.steps = append(r.steps, a)
		}
		*into = append(*into, s)
	})
}

// plugin is what a step uses, or nil.
func (s *Step) plugin() *PluginUse {
	if s.Filter != nil {
		return s.Filter.Plugin
	}
	return s.Transform
}

// checkLookBack refuses what would give a plugin that looks back other records than those of the log, once each and in order.
func checkLookBack(a at, s *Step, top bool) {
	switch {
	case !top:
		a.fail(conflict, "move it before the route", "a step with look_back cannot stand in a branch of a route, which sees some of the records")
	case s.OnError == "retry":
		a.fail(conflict, "use dlq, drop, pass or stop", "a step with look_back cannot try a record again: it has seen later ones")
	case s.plugin().Plugin != nil && s.plugin().Plugin.ABI == "command-batch":
		a.fail(conflict, "use abi: command", "a command that runs once for each batch remembers nothing to look back on")
	case s.plugin().Shadow > 0:
		a.fail(conflict, "leave shadow out", "a plugin with look_back cannot be tried in the shadow, which sees some of the records")
	}
}

func misplaced(verb string) value {
	v := later()
	v.read = func(a at) {
		a.fail(conflict, "move it before the route", "%s cannot stand in a branch of a route", verb)
	}
	return v
}

func name(to *string) value {
	return value{shape{kind: "name", pattern: nameRE.String()}, func(a at) {
		if *to = a.nonempty(); *to != "" {
			checkName(a, *to)
		}
	}}
}

func onError(to *string) value {
	v := word(to, "dlq", "drop", "pass", "retry", "stop")
	v.def = "dlq"
	return v
}

func (r *pipelineReader) filter(s *Step) value {
	u, expression := &PluginUse{}, ""
	return r.use(u).then(func(at) { s.Filter = &Filter{Plugin: u} }).
		orElse(r.predicate(&expression).then(func(at) { s.Filter = &Filter{Expr: expression} }))
}

func (r *pipelineReader) transform(s *Step) value {
	u := &PluginUse{}
	return r.use(u).then(func(at) { s.Transform, r.transformed = u, true })
}

// use is a plugin, with what it is given.
func (r *pipelineReader) use(u *PluginUse) value {
	own, sink, kept := &Plugin{Limits: r.limits}, (*Sink)(nil), at{}
	u.Kept = 64 << 20
	named := func(a at) {
		r.place(own, a)
		file := filepath.Base(own.Wasm + own.Script())
		own.Name, u.Plugin = strings.TrimSuffix(file, filepath.Ext(file)), own
	}
	return one([]string{"plugin", "wasm", "js", "lua", "py"}, func() settings {
		return append(settings{
			{name: "plugin", doc: "The plugin, by its name in resources.plugins.", value: reference(&u.Plugin, "plugin", r.cfg.Plugins).unset("")},
			{name: "wasm", doc: "A module that has no name.", value: source(&own.Wasm, "wasm").then(named)},
			{name: "js", doc: "A script that has no name, in TypeScript or JavaScript. It imports files of its own folder only.", value: source(&own.JS, "js").then(named)},
			{name: "lua", doc: "A script that has no name, in Lua. It requires files beside it.", value: source(&own.Lua, "lua").then(named)},
			{name: "config", doc: "What the plugin is given when it starts, as JSON.", value: anything(&u.Config)},
			{name: "look_back", doc: "How many offsets back in its partition the plugin may remember. After a crash, a move to another worker or a trap it is given those records again, without any effect. Only before dedup and reorder.", value: count(&u.LookBack, 1, 10_000).unset("none: its memory is not relied on")},
			{name: "look_back_memory", doc: "What the records may take that are kept for look_back, of all partitions of a worker. Beyond it the oldest are let go: a plugin that then loses its memory has less to look back on, says the log, and `streamproc_look_back_lacking_total`.", value: size(&u.Kept, 1<<20, 16<<30).then(func(a at) { kept = a })},
			{name: "shadow", doc: "At a reload, a new plugin first runs on this share of the records beside the old one, without any effect; if more than 1% come out otherwise, the reload is refused.", value: share(&u.Shadow)},
			{name: "outputs", doc: "The sinks that the plugin may write to by name, beside its step's own output.", value: list(func() value {
				return r.toSink(&sink).then(func(at) { u.Outputs = append(u.Outputs, sink) })
			})},
			{name: "py", doc: "A script that has no name, in Python. It imports files beside it, and what its engine has.", value: source(&own.Py, "py").then(named)},
			{name: "engine", doc: "What runs a script in Python.", value: engine(&own.Engine)},
		}, elsewhere("give the plugin a name in resources.plugins, write it there, and plugin: NAME here", "oci", "sha256", "signature", "abi", "limits", "capabilities", "kv", "metrics")...)
	}).then(own.checkEngine).then(func(a at) {
		r.place(u, a)
		if kept.node != nil && u.LookBack == 0 {
			kept.fail(conflict, "add look_back: how many offsets, or leave it out", "there is no look_back, for which records would be kept")
		}
	})
}

// store is the Redis of a step that has state.
func (r *pipelineReader) store(to **Redis) value { return reference(to, "redis", r.cfg.Redis) }

func onStateLoss(to *string) value { return word(to, "rebuild", "halt", "accept") }

func stored(store **Redis) func(at) {
	return func(a at) {
		if *store == nil && a.isMapping() {
			a.fail(missing, "add store: NAME", "several stores are named; say which one keeps the state")
		}
	}
}

func (r *pipelineReader) dedup(s *Step) value {
	d := &Dedup{Store: only(r.cfg.Redis), Window: 24 * time.Hour, Mode: "drop", OnUnavailable: "stall", OnStateLoss: "rebuild"}
	return object(func() settings {
		return settings{
			{name: "key", doc: "What tells records apart: the same is a duplicate.", need: "add key: $.id", value: r.field(&d.Key)},
			{name: "window", doc: "How long an id is remembered, in the time of the log, so that a backlog does not shorten it.", value: duration(&d.Window, time.Second, 366*24*time.Hour)},
			{name: "scope", doc: "Where a duplicate is looked for: in its partition, or in all, for which the records pass through an internal topic that is keyed by `key`.", value: global(&d.Global)},
			{name: "mode", doc: "What becomes of a duplicate: `drop` it, `tag` it with the header sp-duplicate-of, only count it (`observe`), or send it to another sink.", value: r.side(&d.Mode, &d.Side, "drop", "tag", "observe")},
			{name: "on_unavailable", doc: "What to do while Redis is away: wait (`stall`), let records pass unchecked, or end the process. None of them drops a record.", value: word(&d.OnUnavailable, "stall", "pass", "fail")},
			{name: "on_state_loss", doc: "What to do when Redis has forgotten: derive the state again from the log, halt, or go on without.", value: onStateLoss(&d.OnStateLoss)},
			{name: "store", doc: "The Redis that keeps the state.", value: r.store(&d.Store)},
		}
	}).then(stored(&d.Store)).then(func(at) { s.Dedup = d })
}

func global(to *bool) value {
	scope := "partition"
	return word(&scope, "partition", "global").then(func(at) { *to = scope == "global" })
}

func (r *pipelineReader) reorder(s *Step) value {
	o := &Reorder{Store: only(r.cfg.Redis), Key: "key", FirstAny: true, MaxWait: 5 * time.Second, MaxBuffered: 100_000, OnGap: "skip", Late: "dlq",
		ForgetAfter: 7 * 24 * time.Hour, IdleTimeout: time.Minute, MaxFuture: time.Hour, OnStateLoss: "rebuild"}
	first := special("count, or any", "0, 1, any", "any", `^any$|`+countPattern, func(a at) {
		if a.text() != "any" {
			o.FirstAny, o.First = false, a.count(0, 0, math.MaxInt64)
		}
	})
	first.number = &[2]int64{0, math.MaxInt64}
	object := one([]string{"sequence", "time"}, func() settings {
		return settings{
			{name: "key", doc: "Whose order is kept.", value: r.field(&o.Key)},
			{name: "scope", doc: "Where the records of one key lie: in one partition, or in any, for which they pass through an internal topic that is keyed by `key`.", value: global(&o.Global)},
			{name: "sequence", doc: "The number of a record within its key, without gaps.", value: r.field(&o.Sequence)},
			{name: "time", doc: "The event time of a record: milliseconds since 1970, or RFC 3339.", value: r.field(&o.Time)},
			{name: "first", doc: "The sequence that a new key begins at.", value: first},
			{name: "max_wait", doc: "How long a record waits for those before it, in the time of the log.", value: duration(&o.MaxWait, time.Millisecond, 30*24*time.Hour)},
			{name: "forget_after", doc: "How long a key is remembered that does not come, in the time of the log: after twice as long at most, it is a new one. It is not below `max_wait`.",
				value: duration(&o.ForgetAfter, time.Second, 366*24*time.Hour)},
			{name: "max_buffered", doc: "The most records that wait in one partition; beyond it the oldest gap ends early.", value: count(&o.MaxBuffered, 1, 10_000_000)},
			{name: "on_gap", doc: "What to do when max_wait is over: go on (`skip`), send what waited to the dead letters, or halt.", value: word(&o.OnGap, "skip", "dlq", "halt")},
			{name: "late", doc: "What becomes of a record whose turn has passed.", value: r.side(&o.Late, &o.Side, "dlq", "drop", "pass")},
			{name: "idle_timeout", doc: "After this a partition in which nothing comes no longer holds back the others.", value: duration(&o.IdleTimeout, time.Second, 24*time.Hour)},
			{name: "max_future", doc: "How far a record's time may be ahead of the clock: one wrong clock must not make all others late.", value: duration(&o.MaxFuture, time.Second, 366*24*time.Hour)},
			{name: "on_state_loss", doc: "What to do when Redis has forgotten: derive the state again from the log, halt, or go on without.", value: onStateLoss(&o.OnStateLoss)},
			{name: "store", doc: "The Redis that keeps the state.", value: r.store(&o.Store)},
		}
	})
	return object.then(stored(&o.Store)).then(func(a at) {
		if s.Reorder = o; o.Sequence != "" && o.ForgetAfter < o.MaxWait {
			a.fail(conflict, "raise forget_after, or lower max_wait", "forget_after is %s, and max_wait is %s: a key that is waited for may not be forgotten",
				writtenDuration(o.ForgetAfter), writtenDuration(o.MaxWait))
		}
	})
}

// side is one of several words, or side:SINK.
func (r *pipelineReader) side(to *string, sink **Sink, words ...string) value {
	v := word(to, append(words, "side:SINK")...)
	read := v.read
	v.pattern = "^side:."
	v.read = func(a at) {
		name, ok := strings.CutPrefix(a.node.Value, "side:")
		if !ok || a.node.Kind != yaml.ScalarNode {
			read(a)
			return
		}
		n := *a.node
		n.Value = name
		*to, *sink = "side", r.sinkNamed(at{a.r, &n, a.key, a.path})
	}
	return v
}

func (r *pipelineReader) sinkNamed(a at) *Sink {
	s := pick(a, "sink", r.sinks)
	r.used[s] = true
	return s
}

func (r *pipelineReader) toSink(to **Sink) value {
	return value{shape{kind: "name of a sink"}, func(a at) { *to = r.sinkNamed(a) }}
}

func (r *pipelineReader) route(s *Step) value {
	route := &Route{}
	return list(func() value { return r.rule(route) }).then(func(at) { s.Route = route })
}

func (r *pipelineReader) rule(route *Route) value {
	rule, otherwise := Rule{}, (*Sink)(nil)
	return one([]string{"when", "otherwise"}, func() settings {
		return settings{
			{name: "when", doc: "Which records the rule is for.", value: r.predicate(&rule.When)},
			{name: "steps", doc: "Steps for these records only: filter and transform.", value: list(func() value { return r.step(&rule.Steps, false) })},
			{name: "to", doc: "The sink they go to.", value: r.toSink(&rule.To)},
			{name: "otherwise", doc: "The sink of all other records; without it they are filtered.", value: r.toSink(&otherwise)},
		}
	}).then(func(a at) {
		switch {
		case rule.When != "" && rule.To == nil:
			a.fail(missing, "add to: SINK", "to is missing")
		case otherwise != nil && (rule.To != nil || len(rule.Steps) > 0):
			a.fail(conflict, "write { when: EXPRESSION, to: SINK } or { otherwise: SINK }", "otherwise stands alone")
		case otherwise != nil:
			route.Otherwise = otherwise
		default:
			route.Rules = append(route.Rules, rule)
		}
	})
}
