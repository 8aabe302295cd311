package config

import (
	"slices"
	"strings"
	"time"
)

// pipelineReader reads one pipeline; sinks have names before steps refer to them.
type pipelineReader struct {
	*builder
	p     *Pipeline
	names map[string]at // of sinks
	sinks map[string]*Sink
	used  map[*Sink]bool
	steps []at // where the steps of the pipeline stand
	where at   // where the sinks stand
	dead  at   // where the dead letters stand
	once  at   // where delivery stands

	transformed bool // a transform has been read: from there on values are what it makes
	json        []at // what takes the values of the source for JSON
	sinkJSON    []at // what takes the values that come out for JSON
}

const (
	defaultLinger    = 5 * time.Millisecond
	defaultSession   = 10 * time.Second
	consumerInterval = 4 * time.Second // half of the transaction timeout where the session is the brokers'
)

func (b *builder) pipeline(name string) value {
	b.fillResources() // whatever resources there are have been read
	p := &Pipeline{Name: name, Workers: 1, CommitInterval: time.Second, Limits: b.record, Retry: b.retry, InFlightBytes: 64 << 20,
		Source: Source{Group: name, SessionTimeout: defaultSession, PollRecords: 5000, PollBytes: 16 << 20}}
	p.Source.Kafka = only(b.cfg.Kafka)
	p.DLQ = &Sink{Name: "dlq", Kafka: p.Source.Kafka, Topic: name + ".dlq", Compression: "none", Linger: defaultLinger}
	b.cfg.Pipelines = append(b.cfg.Pipelines, p)
	r := &pipelineReader{builder: b, p: p, names: map[string]at{}, sinks: map[string]*Sink{}, used: map[*Sink]bool{}}
	return object(r.settings).then(r.check)
}

// only is the one of its kind; nil where there are several.
func only[T any](of map[string]*T) *T {
	if len(of) == 1 {
		for _, v := range of {
			return v
		}
	}
	return nil
}

func (r *pipelineReader) settings() settings {
	p := r.p
	return settings{
		{name: "description", doc: "What the pipeline is for, in a sentence.", value: text(&p.Description)},
		{name: "delivery", doc: "What is promised of the outputs. With `exactly_once` those of a checkpoint and its offsets are one transaction; read them with `isolation.level=read_committed`.", value: r.delivery()},
		{name: "workers", doc: "How many members of the consumer group this process is. Each owns whole partitions, instances of the plugins and checkpoints.", value: count(&p.Workers, 1, 256)},
		{name: "commit_interval", doc: "How often there is a checkpoint.", value: duration(&p.CommitInterval, minCommitInterval, time.Minute).because("a commit takes some milliseconds of the brokers, and they pace transactions at 20ms")},
		{name: "source", doc: "What is read.", need: "add source: { topics: [NAME] }", value: r.source()},
		{name: "sinks", doc: "What is written, by name. Without a route there is one, besides side sinks.", need: "add sinks: { out: { topic: NAME } }", value: named(r.names, r.namedSink).then(func(a at) {
			if a.isMapping() {
				r.where = a
			}
		})},
		{name: "dlq", doc: "Where records go that cannot be processed, with the reason in their headers.", value: r.sink(p.DLQ).then(func(a at) { r.dead = a }).orElse(noDeadLetters())},
		{name: "steps", doc: "What happens to a record, one after the other.", value: list(func() value { return r.step(&p.Steps, true) })},
		{name: "record_limits", doc: "What a record may be; one beyond it goes to the dead letters.", value: recordLimits(&p.Limits)},
		{name: "retry", doc: "How often a record is tried again where a step says `on_error: retry`.", value: retry(&p.Retry)},
		{name: "limits", doc: "What the pipeline may use.", value: object(func() settings {
			return settings{
				{name: "in_flight", doc: "The most bytes that wait to be written; beyond it nothing is read.", value: size(&p.InFlightBytes, 1<<20, 1<<30)},
				{name: "records_per_second", doc: "The most records read in a second, by all workers of this process together.", value: count(&p.RecordsPerSecond, 1, 100_000_000).unset("as fast as they go")},
				{name: "memory", value: later()},
			}
		})},
		{name: "journal", value: later()},
	}
}

func (r *pipelineReader) source() value {
	s, decode := &r.p.Source, "json"
	return object(func() settings {
		return settings{
			{name: "kafka", doc: "The cluster to read from.", value: reference(&s.Kafka, "kafka", r.cfg.Kafka)},
			{name: "topics", doc: "The topics to read.", need: "add topics: [NAME]", value: topics(&s.Topics)},
			{name: "group", doc: "The consumer group. Instances with the same one share the partitions.", value: text(&s.Group)},
			{name: "start", doc: "Where to begin in a partition for which the group has no offset yet. With `latest` the group begins all partitions of a topic at once, where they end then; one that is added later is read from its beginning.", value: start(s)},
			{name: "session_timeout", doc: "After this the partitions of a dead instance move on.", value: duration(&s.SessionTimeout, time.Second, 30*time.Minute)},
			{name: "group_protocol", doc: "How the group shares its partitions: `classic` by its members, `consumer` by the brokers (KIP-848). With `consumer` the session timeout is the brokers' `group.consumer.session.timeout.ms`.", value: r.groupProtocol()},
			{name: "decode", doc: "What values are taken for. They are decoded only where a step looks into them; with `bytes` a step that would, before any transform, is an error.", value: word(&decode, "json", "bytes").without("avro", "protobuf").then(func(at) { s.Bytes = decode == "bytes" })},
			{name: "poll", doc: "What is read at once.", value: object(func() settings {
				return settings{
					{name: "records", doc: "The most records of one batch.", value: count(&s.PollRecords, 1, 100_000)},
					{name: "bytes", doc: "The most bytes of one fetch from a broker; a single batch of the log that is larger comes all the same.", value: size(&s.PollBytes, 1<<10, 1<<30)},
				}
			})},
		}
	}).then(func(a at) {
		if s.Kafka == nil {
			a.fail(missing, "add kafka: NAME", "several clusters are named; say which one is read")
			s.Kafka = &Kafka{}
		}
		if r.p.DLQ.Kafka == nil {
			r.p.DLQ.Kafka = s.Kafka
		}
	})
}

func start(s *Source) value {
	return special("place in a log", "earliest, latest or a time such as 2026-01-31T12:00:00Z", "earliest", "", func(a at) {
		switch v := a.nonempty(); v {
		case "", "earliest":
		case "latest":
			s.Latest = true
		default:
			t, err := time.Parse(time.RFC3339, v)
			if err != nil {
				a.fail(wrongKind, "use earliest, latest or a time such as 2026-01-31T12:00:00Z", "%q is no place to start", v)
			}
			s.StartAt = t
		}
	})
}

func (r *pipelineReader) namedSink(name string) value {
	s := &Sink{Name: name, Kafka: r.p.Source.Kafka, Compression: "none", Linger: defaultLinger}
	r.sinks[name] = s
	r.p.Sinks = append(r.p.Sinks, s)
	return r.sink(s)
}

func (r *pipelineReader) sink(s *Sink) value {
	need := "add topic: NAME"
	if s == r.p.DLQ {
		need = ""
	}
	return object(func() settings {
		return settings{
			{name: "kafka", doc: "The cluster to write to.", value: reference(&s.Kafka, "kafka", r.cfg.Kafka).unset("that of the source")},
			{name: "topic", doc: "The topic to write.", need: need, value: topic(&s.Topic)},
			{name: "key", doc: "What becomes the key of the record.", value: field(&s.Key).unset("the record's own key").then(func(a at) { r.keep(&r.sinkJSON, a, s.Key) })},
			{name: "compression", doc: "How batches are compressed.", value: word(&s.Compression, "none", "gzip", "snappy", "lz4", "zstd")},
			{name: "linger", doc: "How long a batch may wait for more records.", value: duration(&s.Linger, 0, time.Minute)},
			{name: "max_rate", value: later()},
			{name: "on_exceeded", value: later()},
			{name: "off", value: noDeadLetters()},
		}
	}).then(func(a at) {
		r.place(s, a)
		if s.Kafka != nil && slices.Contains(r.p.Source.Topics, s.Topic) && sameCluster(s.Kafka, r.p.Source.Kafka) {
			a.fail(conflict, "write to another topic", "the pipeline would read its own output from topic %s", s.Topic)
		}
	})
}

// noDeadLetters answers to dlq: off. There is always a place for what cannot be processed: a record over a limit has no
// step whose on_error could decide, and must neither vanish nor stop everything behind it.
func noDeadLetters() value {
	v := later()
	v.read = func(a at) {
		a.fail(conflict, "name a topic with dlq: { topic: NAME }; on_error: drop, pass or stop decides for one step", "dead letters cannot be switched off: what cannot be processed would be lost")
	}
	return v
}

// minCommitInterval is a transaction's shortest worthwhile length: brokers let the first write of the next one wait so long.
const minCommitInterval = 20 * time.Millisecond

func (r *pipelineReader) delivery() value {
	delivery := "at_least_once"
	return word(&delivery, "at_least_once", "exactly_once").then(func(a at) {
		r.p.ExactlyOnce, r.once = delivery == "exactly_once", a
	})
}

func (r *pipelineReader) groupProtocol() value {
	protocol := "classic"
	return word(&protocol, "classic", "consumer").then(func(a at) {
		if r.p.Source.Consumer = protocol == "consumer"; r.p.Source.Consumer && r.p.Source.SessionTimeout != defaultSession {
			a.fail(conflict, "leave session_timeout out, and set group.consumer.session.timeout.ms at the brokers", "with the consumer protocol the session timeout is the brokers'")
		}
	})
}

// check looks at the pipeline as a whole.
func (r *pipelineReader) check(a at) {
	if !a.isMapping() {
		return
	}
	r.checkSteps()
	if d := r.p.DLQ; r.dead.node == nil && d.Kafka == r.p.Source.Kafka && slices.Contains(r.p.Source.Topics, d.Topic) {
		a.fail(conflict, "name another with dlq: { topic: NAME }", "the pipeline would read its own dead letters from topic %s", d.Topic)
	}
	r.warnUnrepeatable()
	r.checkBytes()
	if r.where.node == nil {
		return
	}
	if r.p.ExactlyOnce {
		r.checkTransaction()
	} else {
		r.checkHops()
	}
	var free []string
	for _, s := range r.p.Sinks {
		if !r.used[s] {
			free = append(free, s.Name)
		}
	}
	routed := len(r.p.Steps) > 0 && r.p.Steps[len(r.p.Steps)-1].Route != nil
	switch {
	case routed && len(free) > 0:
		r.where.fail(conflict, "route to it, or take it out", "nothing is ever written to %s", joined(free, "and"))
	case !routed && len(free) != 1:
		r.where.fail(conflict, "add a route, or leave one sink", "without a route there is one sink besides side sinks, here are %d", len(free))
	}
}

// checkTransaction looks at what one transaction wants: one cluster, one producer, and an end before its timeout.
func (r *pipelineReader) checkTransaction() {
	p := r.p
	if len(p.Sinks) == 0 {
		return
	}
	first := p.Sinks[0]
	if p.DLQ.Compression == "none" && p.DLQ.Linger == defaultLinger {
		p.DLQ.Compression, p.DLQ.Linger = first.Compression, first.Linger
	}
	for _, s := range append(slices.Clone(p.Sinks), p.DLQ) {
		where := r.where
		if s == p.DLQ && r.dead.node != nil {
			where = r.dead
		}
		if s.Kafka != p.Source.Kafka {
			where.fail(conflict, "write to the cluster of the source, or use delivery: at_least_once",
				"%s is on another cluster than the source, and a transaction lies in one cluster: its outputs could not be committed with the offsets", s.Name)
		}
		if s.Compression != first.Compression || s.Linger != first.Linger {
			where.fail(conflict, "give all sinks the same compression and linger", "%s and %s differ, and a transaction has one producer", first.Name, s.Name)
		}
	}
	if longest := longestTransaction(&p.Source); p.CommitInterval > longest && !p.Source.Consumer {
		r.once.fail(conflict, "shorten commit_interval, or raise session_timeout",
			"a transaction would be open for most of its timeout: commit_interval is %s, and at most half of session_timeout, %s", writtenDuration(p.CommitInterval), writtenDuration(longest))
	}
	if p.Source.Consumer && p.CommitInterval > consumerInterval {
		r.once.fail(conflict, "shorten commit_interval", "a transaction would be open for most of its timeout: commit_interval is %s, and at most %s with the consumer protocol",
			writtenDuration(p.CommitInterval), writtenDuration(consumerInterval))
	}
}

// longestTransaction is how long a transaction may be open: it must end before its timeout.
func longestTransaction(s *Source) time.Duration {
	if s.Consumer {
		return consumerInterval
	}
	return s.SessionTimeout / 2
}

// checkHops looks at what is written in the transactions of a part before a step of scope global.
func (r *pipelineReader) checkHops() {
	p := r.p
	for i := range slices.Backward(p.Steps) {
		if p.Steps[i].globalKey() == "" {
			continue
		}
		for _, s := range append(slices.Clone(p.Sinks), p.DLQ) {
			if s != p.DLQ && !isSide(p.Steps[:i], s) {
				continue
			}
			if s.Kafka != p.Source.Kafka || s.Compression != p.DLQ.Compression || s.Linger != p.DLQ.Linger {
				r.steps[i].fail(conflict, "give the dead letters and the side sinks before it the cluster of the source, and one compression and linger",
					"what comes before a step of scope global is written in transactions, together with %s", s.Name)
			}
		}
		return
	}
}

func (r *pipelineReader) checkSteps() {
	reorders, dedups, names := 0, 0, map[string]bool{}
	for i, s := range r.p.Steps {
		step := r.steps[i]
		switch {
		case s.Dedup != nil && reorders > 0:
			step.fail(conflict, "move dedup before reorder", "dedup cannot come after reorder: it needs the order of the log")
		case s.Reorder != nil:
			reorders++
		case s.Dedup != nil:
			dedups++
		case s.plugin() != nil && s.plugin().LookBack > 0 && reorders+dedups > 0:
			step.fail(conflict, "move it before dedup and reorder", "a step with look_back cannot come after dedup or reorder: it is given again what the log holds")
		case s.Route != nil && i != len(r.p.Steps)-1:
			step.fail(conflict, "move it to the end", "route is the last step")
		}
		if reorders > 1 {
			step.fail(conflict, "", "a pipeline has at most one reorder")
		}
		if names[s.Name] {
			step.fail(twice, "give each step a name of its own", "two steps are named %q", s.Name)
		}
		names[s.Name] = true
	}
}

// keep notes a field that lies in a JSON value.
func (r *pipelineReader) keep(in *[]at, a at, field string) {
	if strings.HasPrefix(field, "$") {
		*in = append(*in, a)
	}
}

// field is one that a step looks at.
func (r *pipelineReader) field(to *string) value {
	return field(to).then(func(a at) {
		if !r.transformed {
			r.keep(&r.json, a, *to)
		}
	})
}

// predicate is one that a step evaluates.
func (r *pipelineReader) predicate(to *string) value {
	return predicate(to).then(func(a at) {
		if !r.transformed && looksIntoValue(*to) {
			r.json = append(r.json, a)
		}
	})
}

// checkBytes finds what takes values for JSON that are said to be bytes.
func (r *pipelineReader) checkBytes() {
	if !r.p.Source.Bytes {
		return
	}
	if !r.transformed {
		r.json = append(r.json, r.sinkJSON...)
	}
	for _, a := range r.json {
		a.fail(conflict, "leave out decode: bytes, or transform the value before", "with decode: bytes the value is not JSON, and has no fields")
	}
}

// Default returns the sink of a pipeline without a route: the one that no step names. It is nil where there is a route.
func (p *Pipeline) Default() *Sink {
	if n := len(p.Steps); n > 0 && p.Steps[n-1].Route != nil {
		return nil
	}
	for _, s := range p.Sinks {
		if !isSide(p.Steps, s) {
			return s
		}
	}
	return nil
}
