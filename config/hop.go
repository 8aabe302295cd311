package config

import (
	"fmt"
	"slices"
	"time"
)

// A step of scope global wants all records of one key in one partition. Where the topics of the source do not give it that,
// the pipeline becomes two: the first ends in an internal topic, keyed by what the step goes by, and the second begins there.
// Both are pipelines like any other, with a ledger, metrics and a state each.

// cut puts the parts of pipelines in their places.
func (b *builder) cut() {
	var all []*Pipeline
	for _, p := range b.cfg.Pipelines {
		parts := hops(p)
		for _, part := range parts[:len(parts)-1] {
			if where, taken := b.names.pipelines[part.Name]; taken {
				where.fail(twice, "give it another name", "the part of %s before its step of scope global is named %q too", p.Name, part.Name)
			}
		}
		all = append(all, parts...)
	}
	b.cfg.Pipelines = all
}

// hops cuts a pipeline before each step that needs the records under another key. The last part keeps its name.
func hops(p *Pipeline) []*Pipeline {
	var parts []*Pipeline
	under := "" // what the source is keyed by
	for i := 0; i < len(p.Steps); i++ {
		st := &p.Steps[i]
		if st.Transform != nil {
			under = "" // the fields may have changed
		}
		key := st.globalKey()
		if key == "" || key == under {
			continue
		}
		first, second := cut(p, i, key, len(parts)+1)
		parts = append(parts, first)
		p, under, i = second, key, 0 // its first step restores the record's own key, its second is st
	}
	return append(parts, p)
}

// globalKey is what a step of scope global goes by, or "".
func (s *Step) globalKey() string {
	switch {
	case s.Dedup != nil && s.Dedup.Global:
		return s.Dedup.Key
	case s.Reorder != nil && s.Reorder.Global:
		return s.Reorder.Key
	}
	return ""
}

// cut makes two pipelines of one. The first writes in transactions, whatever the delivery of the second: a repeat in between
// would be late for reorder, though its order is right.
func cut(p *Pipeline, at int, key string, n int) (first, second *Pipeline) {
	a, b := *p, *p
	suffix := ".rekey"
	if n > 1 {
		suffix = fmt.Sprintf(".rekey-%d", n)
	}
	a.Name, a.Of, b.Of = b.Name+suffix, b.Name, b.Name
	hop := &Sink{Name: "rekey", Kafka: p.Source.Kafka, Topic: a.Name, Compression: p.DLQ.Compression, Linger: p.DLQ.Linger, Internal: true}
	a.ExactlyOnce, a.CommitInterval = true, min(p.CommitInterval, longestTransaction(&p.Source))
	a.Steps = append(slices.Clone(p.Steps[:at]), Step{Name: "rekey", Rekey: &Rekey{Key: key}})
	a.Sinks, b.Sinks = []*Sink{hop}, nil
	for _, s := range p.Sinks {
		if isSide(p.Steps[:at], s) {
			a.Sinks = append(a.Sinks, s)
		}
		if !isSide(p.Steps[:at], s) || isSide(p.Steps[at:], s) {
			b.Sinks = append(b.Sinks, s)
		}
	}
	b.Steps = append([]Step{{Name: "restore-key", Rekey: &Rekey{}}}, p.Steps[at:]...)
	b.Source.Topics, b.Source.Group, b.Source.Internal = []string{hop.Topic}, p.Source.Group+suffix, true
	b.Source.Like = p.Source.Topics
	if p.Source.Internal {
		b.Source.Like = p.Source.Like
	}
	b.Source.Latest, b.Source.StartAt = false, time.Time{}
	return &a, &b
}

// isSide says that a step sends duplicates or late records to s.
func isSide(steps []Step, s *Sink) bool {
	return slices.ContainsFunc(steps, func(st Step) bool {
		return st.Dedup != nil && st.Dedup.Side == s || st.Reorder != nil && st.Reorder.Side == s
	})
}
