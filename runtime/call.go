package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

// attempt makes the calls for todo[lo:hi]: all of them have results after it, or it returns the fault.
func (g *Guest) attempt(ctx context.Context, b *stream.Batch, lo, hi int) *fault {
	ctx = g.context(ctx)
	g.begin(hi - lo)
	g.instance.budget.refuel(g.fuelFor(hi - lo))
	mark := len(g.outs)
	g.words = g.words[:0]
	defer g.reportSuppressed()
	var f *fault
	switch g.plugin.form {
	case batched:
		f = g.callBatch(ctx, b, lo, hi)
	case spoken:
		f = g.callSession(ctx, b, lo, hi)
	default:
		f = g.callEach(ctx, b, lo, hi)
	}
	g.endLines()
	if f != nil {
		g.explain(f)
		for i := lo; i < hi; i++ {
			g.put(i, result{})
		}
		g.outs = g.outs[:mark]
	}
	g.account(hi - lo)
	if f == nil {
		g.fresh = false
		g.noteMemory(g.instance.module.Memory())
	}
	return f
}

// callBatch makes one call of sp_process.
func (g *Guest) callBatch(ctx context.Context, b *stream.Batch, lo, hi int) *fault {
	ptr, n, err := g.encode(ctx, b, lo, hi)
	if err != nil {
		return faultOf(err)
	}
	g.stack[0], g.stack[1] = uint64(ptr), uint64(n)
	if err := g.instance.call.CallWithStack(ctx, g.stack[:]); err != nil {
		f := faultOf(err)
		f.suspect = g.cursor(ptr, lo, hi)
		return f
	}
	r := int64(g.stack[0])
	if r < 0 {
		return &fault{reason: stream.ReasonError, message: g.reasonFor(-1), alive: true, suspect: g.cursor(ptr, lo, hi)}
	}
	if err := g.readAnswer(b, lo, hi, ptr, uint64(r)); err != nil {
		f := faultOf(&breach{err.Error()})
		return f
	}
	return nil
}

// encode lays the records into the guest's arena.
func (g *Guest) encode(ctx context.Context, b *stream.Batch, lo, hi int) (ptr uint32, n int, err error) {
	data, entries := int64(0), 0
	for i := lo; i < hi; i++ {
		d, e := g.handed(b, i)
		data, entries = data+d, entries+e
	}
	length := abi.InputLen(hi-lo, data, entries)
	if length > abi.MaxLen {
		return 0, 0, fmt.Errorf("%w for %d bytes", errRefused, length)
	}
	view, ptr, err := g.arena(ctx, int(length))
	if err != nil {
		return 0, 0, err
	}
	w := abi.NewWriter(view, hi-lo, g.instance.mask)
	w.Project(g.projected.places())
	for i := lo; i < hi; i++ {
		r := &b.Records[g.todo[i]]
		row := abi.Row{
			Key: r.Key, Value: r.Value, Timestamp: r.Timestamp,
			Offset: r.Origin.Offset, Partition: uint32(r.Origin.ID), Topic: g.topicNumber(r.Origin.Topic),
		}
		w.Add(&row)
		for n, s := range g.projected.of(i) {
			if !s.Missing() {
				w.Field(n, s.From, s.To)
			}
		}
		if len(r.Headers) > 0 {
			w.Entries(len(r.Headers))
			for j := range r.Headers {
				w.Entry(j, r.Headers[j].Key, r.Headers[j].Value)
			}
		}
	}
	n, err = w.Finish()
	return ptr, n, err
}

// cursor reads which record the guest says it was working on.
func (g *Guest) cursor(ptr uint32, lo, hi int) int {
	head, ok := g.instance.module.Memory().Read(ptr, abi.HeaderSize)
	if !ok {
		return -1
	}
	c, _ := abi.Cursor(head)
	if c == 0 || int64(c) >= int64(hi-lo) {
		return -1 // 0 is also what a guest leaves that does not keep a cursor
	}
	return lo + int(c)
}

// callEach makes one call per record, of sp_filter or sp_map, and names the record at which one failed.
func (g *Guest) callEach(ctx context.Context, b *stream.Batch, lo, hi int) *fault {
	for i := lo; i < hi; i++ {
		g.clearReason()
		g.instance.budget.refuel(g.plugin.limits.Fuel)
		err := g.callOne(ctx, i, b.Records[g.todo[i]].Value, &b.Records[g.todo[i]])
		if err == nil {
			g.fresh = false
			continue
		}
		f := faultOf(err)
		f.suspect = i
		return f
	}
	return nil
}

func (g *Guest) clearReason() {
	if len(g.reasons) > 0 {
		clear(g.reasons)
	}
}

func (g *Guest) callOne(ctx context.Context, i int, value []byte, r *stream.Record) error {
	view, ptr, err := g.arena(ctx, max(1, len(value)))
	if err != nil {
		return err
	}
	copy(view, value)
	g.stack[0], g.stack[1] = uint64(ptr), uint64(len(value))
	if err := g.instance.call.CallWithStack(ctx, g.stack[:]); err != nil {
		return err
	}
	if g.plugin.form == filters {
		return g.filtered(i, int32(uint32(g.stack[0])))
	}
	return g.mapped(i, int64(g.stack[0]), r)
}

func (g *Guest) filtered(i int, answer int32) error {
	switch {
	case answer == 1:
		g.results[i] = result{verdict: abi.Keep}
	case answer == 0:
		g.results[i] = result{verdict: abi.Drop}
	case answer < 0:
		g.results[i] = result{verdict: abi.Fail, cause: g.cause(stream.ReasonError, g.reasonFor(-1))}
	default:
		return &breach{fmt.Sprintf("sp_filter returned %d, which is neither 1, 0 nor negative", answer)}
	}
	return nil
}

func (g *Guest) mapped(i int, answer int64, r *stream.Record) error {
	switch {
	case answer == 0:
		g.results[i] = result{verdict: abi.Drop}
		return nil
	case answer == -1:
		g.results[i] = result{verdict: abi.Keep}
		return nil
	case answer < 0:
		g.results[i] = result{verdict: abi.Fail, cause: g.cause(stream.ReasonError, g.reasonFor(-1))}
		return nil
	}
	ptr, n := uint32(uint64(answer)>>32), uint32(answer)
	view, ok := g.instance.module.Memory().Read(ptr, n)
	if !ok {
		return &breach{fmt.Sprintf("sp_map returned %d bytes at %d, beyond the memory of %d bytes", n, ptr, g.instance.module.Memory().Size())}
	}
	if int64(n) > g.plugin.limits.OutputBytes {
		g.results[i] = result{verdict: abi.Fail, cause: g.overOutput(int64(n))}
		return nil
	}
	out := *r
	out.Value, out.JSON = g.copied(view, i), stream.JSONUnknown
	g.results[i] = result{verdict: abi.Replaced, first: len(g.outs), n: 1}
	g.outs = append(g.outs, out)
	g.weigh(i)
	return nil
}

func (g *Guest) overOutput(n int64) *stream.Cause {
	return g.cause(stream.ReasonOutput, fmt.Sprintf("an output of %d bytes is over the limit output of %d", n, g.plugin.limits.OutputBytes))
}

var errUnordered = errors.New("src_index goes back")
