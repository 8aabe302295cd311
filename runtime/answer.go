package runtime

import (
	"fmt"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

// readAnswer reads verdicts and outputs of a call for todo[lo:hi]. An error is a breach of the ABI.
func (g *Guest) readAnswer(b *stream.Batch, lo, hi int, in uint32, answer uint64) error {
	n := hi - lo
	if cap(g.verdicts) < n {
		g.verdicts = make([]abi.Verdict, n)
	}
	g.verdicts = g.verdicts[:n]
	head, ok := g.instance.module.Memory().Read(in, uint32(abi.HeaderSize+n*g.stride()))
	if !ok {
		return fmt.Errorf("the input batch is no longer in memory")
	}
	if err := abi.Verdicts(g.verdicts, head, g.stride()); err != nil {
		return err
	}
	for i, v := range g.verdicts {
		if v > abi.Replaced || v == abi.Replaced && g.mode == Filter {
			return fmt.Errorf("verdict %d of record %d is not one for this step", v, i)
		}
		g.results[lo+i] = result{verdict: v}
		if v == abi.Fail {
			g.results[lo+i].cause = g.cause(stream.ReasonError, g.reasonFor(int32(i)))
		}
	}
	if answer == 0 {
		return nil
	}
	return g.readOutputs(b, lo, hi, uint32(answer>>32), uint32(answer))
}

// readOutputs copies the output batch, once, and makes records of it.
func (g *Guest) readOutputs(b *stream.Batch, lo, hi int, ptr, n uint32) error {
	view, ok := g.instance.module.Memory().Read(ptr, n)
	if !ok {
		return fmt.Errorf("an output batch of %d bytes at %d is beyond the memory of %d bytes", n, ptr, g.instance.module.Memory().Size())
	}
	out, err := abi.ParseOutput(view)
	if err != nil {
		return fmt.Errorf("output batch: %w", err)
	}
	data := out.Detach()
	last, mark, before := 0, len(g.outs), g.produced
	var p abi.Produced
	for i := range out.Len() {
		if err := out.At(i, &data, &p); err != nil {
			return err
		}
		if p.Source < last || p.Source >= hi-lo {
			return fmt.Errorf("output %d: %w, or beyond the batch: %d after %d of %d", i, errUnordered, p.Source, last, hi-lo)
		}
		last = p.Source
		if err := g.readOutput(b, lo+p.Source, i, &out, &data, &p); err != nil {
			return err
		}
	}
	if int64(out.DataLen()) > batchLimitBytes+2*max(g.produced-before, 0) { // small outputs would keep a large area
		for i := range g.outs[mark:] {
			g.outs[mark+i] = g.outs[mark+i].Clone()
		}
	}
	return nil
}

// readOutput adds output i to the results of its input, or fails the input if it is over a limit.
func (g *Guest) readOutput(b *stream.Batch, at, i int, out *abi.Output, data *abi.Detached, p *abi.Produced) error {
	res := &g.results[at]
	if res.cause != nil && g.verdicts[p.Source] == abi.Replaced {
		return nil // over a limit already
	}
	if res.verdict != abi.Replaced {
		return fmt.Errorf("output %d belongs to record %d, whose verdict is %d", i, p.Source, res.verdict)
	}
	in := &b.Records[g.todo[at]]
	r := *in
	if !p.InheritKey {
		r.Key = p.Key
	}
	if !p.InheritValue {
		r.Value, r.JSON = p.Value, stream.JSONUnknown
	}
	if p.Timestamp != abi.InheritTime {
		r.Timestamp = p.Timestamp
	}
	if p.Output > len(g.plugin.outputs) {
		return fmt.Errorf("output %d names output %d of %d", i, p.Output, len(g.plugin.outputs))
	}
	if p.Output > 0 {
		r.Sink = g.plugin.outputs[p.Output-1].Sink
	}
	if p.HeaderCount > OutputHeaders {
		g.fail(at, g.cause(stream.ReasonOutput, fmt.Sprintf("an output of %d headers is over the limit of %d", p.HeaderCount, OutputHeaders)))
		return nil
	}
	if !p.InheritHdrs {
		if err := g.readHeaders(&r, i, out, data, p.HeaderCount); err != nil {
			return err
		}
	}
	if n, _ := size(&r); n > g.plugin.limits.OutputBytes {
		g.fail(at, g.overOutput(n))
		return nil
	}
	if res.n == g.plugin.limits.Outputs {
		g.fail(at, g.cause(stream.ReasonOutput, fmt.Sprintf("more outputs of one record than the limit outputs of %d", g.plugin.limits.Outputs)))
		return nil
	}
	if res.n == 0 {
		res.first = len(g.outs)
	}
	res.n++
	g.outs = append(g.outs, r)
	g.weigh(at)
	return nil
}

func (g *Guest) fail(i int, c *stream.Cause) { g.put(i, result{verdict: abi.Fail, cause: c}) }

// put answers the record todo[i], and lets go of the outputs that it had.
func (g *Guest) put(i int, r result) {
	old := &g.results[i]
	g.produced -= old.bytes
	clear(g.outs[old.first : old.first+old.n])
	*old = r
}

// weigh counts the output that the record todo[i] was given last. Where there is no room for it, those with the largest fail.
func (g *Guest) weigh(i int) {
	n, _ := size(&g.outs[len(g.outs)-1])
	g.results[i].bytes += n
	g.produced += n
	for g.produced > g.bound {
		g.shed()
	}
}

// shed fails the record whose outputs take most.
func (g *Guest) shed() {
	largest := 0
	for i := range g.results {
		if g.results[i].bytes > g.results[largest].bytes {
			largest = i
		}
	}
	g.fail(largest, g.cause(stream.ReasonOutput, fmt.Sprintf(
		"the outputs of one batch take more than %d bytes, and this record became most of them, %d: lower source.poll.records if they are right",
		g.bound, g.results[largest].bytes)))
}

// readHeaders copies the names, each by itself: many may be the same bytes of the guest's, so that they are counted before.
func (g *Guest) readHeaders(r *stream.Record, i int, out *abi.Output, data *abi.Detached, n int) error {
	r.Headers = nil
	if n == 0 {
		return nil
	}
	if err := out.Entries(i, data, func(key, _ []byte) { g.names += len(key) }); err != nil {
		return err
	}
	if g.names > callNameBytes {
		return fmt.Errorf("the names of the headers of its outputs take more than %d bytes", callNameBytes)
	}
	r.Headers = make([]stream.Header, 0, n)
	return out.Entries(i, data, func(key, value []byte) {
		r.Headers = append(r.Headers, stream.Header{Key: string(key), Value: value})
	})
}

// settle writes the results into the batch: in place while each input has at most one output.
func (g *Guest) settle(b *stream.Batch) {
	families, many := 0, 0
	g.preserve(b)
	for i := range g.results {
		if n := g.results[i].n; n > 1 {
			many += n - 1
			if b.Records[g.todo[i]].Family == nil {
				families++
			}
		}
	}
	for i, at := range g.todo {
		res := &g.results[i]
		switch {
		case res.verdict == abi.Fail:
			b.Fail(at, res.cause)
		case res.verdict == abi.Drop, res.verdict == abi.Replaced && res.n == 0:
			b.Settle(at, stream.Filtered)
		case res.verdict == abi.Replaced && res.n == 1:
			b.Records[at] = g.outs[res.first]
		}
	}
	if many > 0 {
		g.multiply(b, make([]stream.Family, 0, families))
	}
}

// preserve lets what was made of an input remember what it was.
func (g *Guest) preserve(b *stream.Batch) {
	replaced := 0
	for i := range g.results {
		if g.results[i].verdict == abi.Replaced && g.results[i].n > 0 {
			replaced++
		}
	}
	originals := make([]stream.Original, replaced)
	for i := range g.results {
		res := &g.results[i]
		if res.verdict != abi.Replaced || res.n == 0 {
			continue
		}
		in := &b.Records[g.todo[i]]
		in.Preserve(&originals[0])
		originals = originals[1:]
		for j := range res.n {
			g.outs[res.first+j].Original = in.Original
		}
	}
}

// multiply rewrites the batch with several outputs in the place of one input.
func (g *Guest) multiply(b *stream.Batch, families []stream.Family) {
	list, next := b.Rewrite(), 0
	for at := range b.Records {
		if next == len(g.todo) || g.todo[next] != at {
			list = append(list, b.Records[at])
			continue
		}
		res := &g.results[next]
		next++
		if res.n < 2 {
			list = append(list, b.Records[at])
			continue
		}
		f := b.Records[at].Family
		if f == nil {
			families = append(families, stream.Family{Left: 1})
			f = &families[len(families)-1]
		}
		f.Left += res.n - 1
		for _, r := range g.outs[res.first : res.first+res.n] {
			r.Family = f
			list = append(list, r)
		}
	}
	b.Replace(list)
}
