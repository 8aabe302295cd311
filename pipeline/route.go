package pipeline

import (
	"context"

	"github.com/streamproc/streamproc/stream"
)

// Route is the step that chooses a sink for each record: that of the first rule that matches, after the rule's own
// stages; else Otherwise. A record that nothing wants is filtered.
type Route struct {
	Name      string
	Rules     []Rule
	Otherwise stream.Sink // NoSink: filtered
	Events    *Events     // told what the stages of the rules do; may be nil

	branches []branch
	choice   []int // by record: the rule, len(Rules) for otherwise, or -1 for a record that failed
}

// Rule sends what When matches through Stages, which keep no state, to To.
type Rule struct {
	When   Predicate
	Stages []Stage
	To     stream.Sink
}

// branch collects the records of one rule that has stages.
type branch struct {
	batch   stream.Batch
	settled []stream.Record
	at, out int
}

// Process implements Step. Outputs stay in the order of their inputs, whatever branch they took.
func (r *Route) Process(ctx context.Context, b *stream.Batch) error {
	if r.branches == nil {
		r.branches = make([]branch, len(r.Rules))
	}
	if !r.choose(b) {
		return nil
	}
	for k := range r.branches {
		br := &r.branches[k]
		if len(br.batch.Records) == 0 {
			continue
		}
		settle := func(rec *stream.Record) { br.settled = append(br.settled, *rec) }
		if err := run(ctx, r.Rules[k].Stages, &br.batch, settle, r.Events); err != nil {
			return err
		}
	}
	r.merge(b)
	return nil
}

// choose finds the rule of each record and gives it its sink; it says whether any took a branch with stages.
func (r *Route) choose(b *stream.Batch) (branched bool) {
	r.choice = r.choice[:0]
	for k := range r.branches {
		r.branches[k].batch.Reset()
		r.branches[k].settled, r.branches[k].at, r.branches[k].out = r.branches[k].settled[:0], 0, 0
	}
	for i := range b.Records {
		rec := &b.Records[i]
		k := r.match(b, i)
		r.choice = append(r.choice, k)
		switch {
		case k < 0:
		case k < len(r.Rules):
			rec.Sink = r.Rules[k].To
			if len(r.Rules[k].Stages) > 0 {
				branched = true
				r.branches[k].batch.Records = append(r.branches[k].batch.Records, *rec)
			}
		case r.Otherwise == stream.NoSink:
			b.Settle(i, stream.Filtered)
		default:
			rec.Sink = r.Otherwise
		}
	}
	return branched
}

func (r *Route) match(b *stream.Batch, i int) int {
	for k := range r.Rules {
		ok, err := r.Rules[k].When.Match(&b.Records[i])
		if err != nil {
			b.Fail(i, CauseOf(r.Name, err))
			return -1
		}
		if ok {
			return k
		}
	}
	return len(r.Rules)
}

// merge puts what the branches made in the places of their inputs.
func (r *Route) merge(b *stream.Batch) {
	merged := b.Rewrite()
	for i := range b.Records {
		k := r.choice[i]
		if k < 0 || k >= len(r.Rules) || len(r.Rules[k].Stages) == 0 {
			merged = append(merged, b.Records[i])
			continue
		}
		br, origin := &r.branches[k], b.Records[i].Origin
		for ; br.out < len(br.batch.Records) && br.batch.Records[br.out].Origin == origin; br.out++ {
			br.batch.Records[br.out].Sink = r.Rules[k].To
			merged = append(merged, br.batch.Records[br.out])
		}
	}
	for k := range r.branches {
		if len(r.branches[k].settled) > 0 {
			merged, b.Settled = append(merged, r.branches[k].settled...), true
		}
	}
	b.Replace(merged)
}
