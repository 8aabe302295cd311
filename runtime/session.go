package runtime

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

// Call is the records of one call into a guest that speaks a dialect, and where their answers go. Each record must be
// answered, in any order, but outputs in the order of their inputs. A record without an answer is dropped.
type Call struct {
	guest  *Guest
	batch  *stream.Batch
	lo, hi int
	at     int
}

// Len is the number of records.
func (c *Call) Len() int { return c.hi - c.lo }

// Record is record i, read-only.
func (c *Call) Record(i int) *stream.Record { return &c.batch.Records[c.guest.todo[c.lo+i]] }

// At says that the guest is at work on record i. If the call fails, that is the one to suspect.
func (c *Call) At(i int) { c.at = i }

// Forgot says that the guest has lost its memory, or part of it, or was given a record twice.
func (c *Call) Forgot() { c.guest.lives++ }

// Keep lets record i pass as it is.
func (c *Call) Keep(i int) { c.guest.put(c.lo+i, result{verdict: abi.Keep}) }

// Drop filters record i.
func (c *Call) Drop(i int) { c.guest.put(c.lo+i, result{verdict: abi.Drop}) }

// Fail sends record i to the dead letters.
func (c *Call) Fail(i int, r stream.Reason, message string) {
	c.guest.fail(c.lo+i, c.guest.cause(r, escape([]byte(message), reasonBytes)))
}

// Emit adds an output of record i: a copy of the input with what the guest changed. Its slices belong to the batch.
func (c *Call) Emit(i int, r *stream.Record) {
	g := c.guest
	res := &g.results[c.lo+i]
	if res.verdict == abi.Fail {
		return // over a limit already
	}
	if cause := g.overOutputs(res.n, r); cause != nil {
		g.fail(c.lo+i, cause)
		return
	}
	if res.n == 0 {
		*res = result{verdict: abi.Replaced, first: len(g.outs)}
	}
	res.n++
	g.outs = append(g.outs, *r)
	g.weigh(c.lo + i)
}

// overOutputs says which limit one more output of a record, which has n, is over, or nil.
func (g *Guest) overOutputs(n int, r *stream.Record) *stream.Cause {
	if len(r.Headers) > OutputHeaders {
		return g.cause(stream.ReasonOutput, fmt.Sprintf("an output of %d headers is over the limit of %d", len(r.Headers), OutputHeaders))
	}
	if bytes, _ := size(r); bytes > g.plugin.limits.OutputBytes {
		return g.overOutput(bytes)
	}
	if n == g.plugin.limits.Outputs {
		return g.cause(stream.ReasonOutput, fmt.Sprintf("more outputs of one record than the limit outputs of %d", n))
	}
	return nil
}

// Copy copies b into memory that lives as long as the batch, which the guest pays for. Many copies share a block.
func (c *Call) Copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	c.guest.charge(len(b), costBytesShift)
	return c.guest.copied(b, c.lo)
}

// copied copies an output of the record todo[i], or one behind it, into a block.
func (g *Guest) copied(b []byte, i int) []byte {
	if g.bytes == nil || cap(g.bytes)-len(g.bytes) < len(b) { // a cut of nil would be null, where b is only empty
		// A new block, and the old one stays with the records made of it: about one for each batch.
		g.bytes = make([]byte, 0, max(len(b), min(batchLimitBytes/4, len(b)*(len(g.results)-i))))
	}
	at := len(g.bytes)
	g.bytes = append(g.bytes, b...)
	return g.bytes[at:len(g.bytes):len(g.bytes)]
}

// Output returns the sink of a named output.
func (c *Call) Output(name string) (stream.Sink, bool) {
	i := slices.IndexFunc(c.guest.plugin.outputs, func(o Output) bool { return o.Name == name })
	if i < 0 {
		return stream.NoSink, false
	}
	return c.guest.plugin.outputs[i].Sink, true
}

// callSession hands todo[lo:hi] to a guest that speaks a dialect.
func (g *Guest) callSession(ctx context.Context, b *stream.Batch, lo, hi int) *fault {
	for i := range g.results[lo:hi] {
		g.results[lo+i] = result{verdict: abi.Drop}
	}
	c := Call{guest: g, batch: b, lo: lo, hi: hi, at: -1}
	err := g.session.Process(ctx, &c)
	if err == nil {
		return nil
	}
	f := faultOf(err)
	if c.at >= 0 && c.at < c.Len() {
		f.suspect = lo + c.at
	}
	return f
}

// reset puts the session back to its start, if it knows how.
func (g *Guest) reset(ctx context.Context) bool {
	r, ok := g.session.(Resetter)
	if !ok || g.instance.module.IsClosed() {
		return false
	}
	g.begin(0)
	g.refillForStart()
	if !r.Reset(g.context(ctx)) {
		return false
	}
	i := &g.instance
	i.settled, i.records, i.full, i.lacks = 0, 0, false, i.module.Memory().Size() > i.began
	g.fresh = true
	return true
}

// arguments and variables are what WASI tells the guest of its surroundings: nothing, unless its dialect says so.
func (g *Guest) arguments() []string {
	if e, ok := g.session.(Environment); ok {
		return e.Arguments()
	}
	return nil
}

func (g *Guest) variables() []string {
	if e, ok := g.session.(Environment); ok {
		return e.Variables()
	}
	return nil
}

// written takes what the guest writes to file 1 or 2: the session's, or a line for the log.
func (g *Guest) written(fd uint32, b []byte) {
	if s, ok := g.session.(Stdio); ok && fd == 1 && s.Write(b) {
		return
	}
	g.print(fd, b)
}
