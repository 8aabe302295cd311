// Package fluvio lets Fluvio SmartModules run unchanged: filter, map, filter_map, array_map and aggregate, with their
// parameters.
//
// The host writes a batch into memory that the guest allocates, the guest answers with another by copy_records. Both are
// encoded as protocol version 22 has them; a record is known again by its offset, relative to that of its batch.
package fluvio

import (
	"context"
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// version is that of the protocol; guests that know fewer fields look at it.
const version = 22

// kind is what a smart module does; it is the name of an export.
type kind string

const (
	filter    kind = "filter"
	mapping   kind = "map"
	filterMap kind = "filter_map"
	arrayMap  kind = "array_map"
	aggregate kind = "aggregate"
	initial   kind = "init"
)

// Dialect is the ABI.
type Dialect struct{}

// Name implements runtime.Dialect.
func (Dialect) Name() string { return "fluvio" }

// Speaks implements runtime.Dialect.
func (Dialect) Speaks(m *meter.Module) bool {
	for _, i := range m.Imports {
		if i.Name == "copy_records" {
			return true
		}
	}
	return false
}

// kinds are tried in this order.
var kinds = []kind{filter, mapping, filterMap, arrayMap, aggregate}

// Check implements runtime.Dialect.
func (Dialect) Check(m *meter.Module) error {
	for name, types := range map[string]string{"alloc": "i:i", "dealloc": "ii:"} {
		if err := runtime.CheckExport(m, name, types, true); err != nil {
			return fmt.Errorf("a smart module exports alloc and dealloc: %w", err)
		}
	}
	there := false
	for _, k := range append([]kind{initial}, kinds...) {
		if err := runtime.CheckExport(m, string(k), "iii:i", false); err != nil {
			return fmt.Errorf("a smart module is called with a batch: %w", err)
		}
		_, ok := m.Exported(string(k))
		there = there || ok && k != initial
	}
	if there {
		return nil
	}
	return fmt.Errorf("a smart module exports one of %v; this module does not", kinds)
}

// Functions implements runtime.Dialect.
func (Dialect) Functions() []runtime.HostFunction {
	return []runtime.HostFunction{{Module: "env", Name: "copy_records", Types: "ii:", Call: func(g runtime.Session, _ api.Module, stack []uint64) {
		s := g.(*session)
		s.outPtr, s.outLen, s.copied = uint32(stack[0]), uint32(stack[1]), s.copied+1
	}}}
}

// Open implements runtime.Dialect.
func (Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	s := &session{host: h, m: h.Module, totals: map[stream.Partition][]byte{}}
	for _, k := range kinds {
		if s.call = h.Module.ExportedFunction(string(k)); s.call != nil {
			s.kind = k
			break
		}
	}
	if h.Mode() == runtime.Filter && s.kind != filter {
		return nil, fmt.Errorf("the smart module is a %s; use it as a transform", s.kind)
	}
	if kept, ok := h.Kept().(map[stream.Partition][]byte); ok {
		s.totals = kept
	}
	settings, err := h.Settings()
	if err != nil {
		return nil, fmt.Errorf("the config of a smart module is its parameters, names and values: %w", err)
	}
	s.params, err = parameters(settings)
	return s, err
}

// parameters encodes names and values as a guest reads them.
func parameters(settings map[string]string) ([]byte, error) {
	w := writer{}
	w.u16(len(settings))
	for name, text := range settings {
		if len(name) > maxText || len(text) > maxText {
			return nil, fmt.Errorf("the parameter %.40q is over the limit of %d bytes", name, maxText)
		}
		w.text(name)
		w.text(text)
	}
	w.byte(0) // no look-back
	return w.b, nil
}

// session is one smart module.
type session struct {
	host   *runtime.Host
	m      api.Module
	kind   kind
	call   api.Function
	params []byte

	outPtr, outLen uint32
	copied         int // calls of copy_records since the guest was called

	// What an aggregate has come to in each partition. It is a cache, as all that a plugin remembers.
	totals map[stream.Partition][]byte
	in     []byte
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	if f := s.m.ExportedFunction("_initialize"); f != nil {
		if _, err := f.Call(ctx); err != nil {
			return err
		}
	}
	f := s.m.ExportedFunction(string(initial))
	if f == nil {
		return nil
	}
	code, out, err := s.hand(ctx, f, s.params)
	if err != nil {
		return err
	}
	if code == -2 && out != nil {
		r := reader{b: out}
		return fmt.Errorf("init refuses the parameters: %s", r.text())
	}
	if code < 0 {
		return fmt.Errorf("init fails with %d", code)
	}
	return s.drop(ctx)
}

// hand gives bytes to a function of the guest, which frees them, and returns its answer and what it copied out. The
// latter is a view, good until drop.
func (s *session) hand(ctx context.Context, f api.Function, in []byte) (code int32, out []byte, err error) {
	p, err := s.m.ExportedFunction("alloc").Call(ctx, uint64(len(in)))
	if err != nil {
		return 0, nil, err
	}
	if !s.m.Memory().Write(uint32(p[0]), in) {
		return 0, nil, runtime.Breach("alloc gave %d, where there is no room for %d bytes", uint32(p[0]), len(in))
	}
	s.copied = 0
	r, err := f.Call(ctx, p[0], uint64(len(in)), version)
	if err != nil {
		return 0, nil, err
	}
	if s.copied > 0 {
		var ok bool
		if out, ok = s.m.Memory().Read(s.outPtr, s.outLen); !ok {
			return 0, nil, runtime.Breach("copy_records was given %d bytes at %d, which are not in its memory", s.outLen, s.outPtr)
		}
	}
	return int32(uint32(r[0])), out, nil
}

// drop frees what the guest copied out; it has no other way to know that it was read.
func (s *session) drop(ctx context.Context) error {
	if s.copied == 0 {
		return nil
	}
	_, err := s.m.ExportedFunction("dealloc").Call(ctx, uint64(s.outPtr), uint64(s.outLen))
	return err
}

// maxDelta bounds the offsets of one batch: what a guest writes back has 32 bits.
const maxDelta = 1 << 30

// Process implements runtime.Session. A batch for the guest is a run of one partition, with offsets that rise; for
// array_map, whose outputs do not say what they came from, it is one record.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	changed := map[stream.Partition][]byte{}
	for lo := 0; lo < c.Len(); {
		if c.Record(lo).Value == nil {
			c.Keep(lo)
			lo++
			continue
		}
		hi := lo + 1
		for ; hi < c.Len() && s.kind != arrayMap && follows(c.Record(lo), c.Record(hi-1), c.Record(hi)); hi++ {
		}
		done, err := s.batch(ctx, c, lo, hi, changed)
		if err != nil {
			return err
		}
		lo += done
	}
	for p, total := range changed {
		s.totals[p] = total
	}
	if len(changed) > 0 {
		s.host.Keep(s.totals)
	}
	return nil
}

func follows(first, last, r *stream.Record) bool {
	return r.Value != nil && r.Origin.Partition == last.Origin.Partition && r.Origin.Offset > last.Origin.Offset && r.Origin.Offset-first.Origin.Offset < maxDelta
}

// batch hands [lo, hi) over, and says how many of them are answered: an error of the guest's code ends its batch.
func (s *session) batch(ctx context.Context, c *runtime.Call, lo, hi int, changed map[stream.Partition][]byte) (int, error) {
	c.At((lo + hi) / 2) // any may be to blame if it traps: half of them are tried next
	first := c.Record(lo)
	total, ok := changed[first.Origin.Partition]
	if !ok {
		total = s.totals[first.Origin.Partition]
	}
	code, out, err := s.hand(ctx, s.call, s.encode(c, lo, hi, total))
	if err != nil {
		return 0, err
	}
	if code < 0 {
		return 0, runtime.Failure(stream.ReasonError, fmt.Sprintf("the smart module gives up on its input, with %d", code), true)
	}
	if s.copied != 1 {
		return 0, runtime.Breach("the smart module called copy_records %d times for one batch", s.copied)
	}
	r := reader{b: out}
	if err := s.outputs(c, lo, hi, &r); err != nil {
		return 0, err
	}
	done := hi - lo
	if r.byte() == 1 {
		hint := r.text()
		i := find(c, lo, hi, int64(r.u64()))
		if i < 0 {
			return 0, runtime.Breach("the smart module fails a record that it was not given")
		}
		c.Fail(i, stream.ReasonError, hint)
		done = i + 1 - lo
		r.skip(1)
		if r.byte() == 1 {
			r.skip(r.varint())
		}
		r.skip(r.varint())
	}
	if s.kind == aggregate {
		changed[first.Origin.Partition] = append([]byte{}, r.take(int(r.u32()))...)
	}
	if r.bad {
		return 0, runtime.Breach("what the smart module copied out is not a batch")
	}
	return done, s.drop(ctx)
}

// outputs answers the records that are in the guest's batch.
func (s *session) outputs(c *runtime.Call, lo, hi int, r *reader) error {
	next, base := lo, c.Record(lo).Origin.Offset
	for n := r.u32(); n > 0 && !r.bad; n-- {
		delta, key, value := r.record()
		if r.bad {
			break
		}
		i := lo
		if s.kind != arrayMap {
			if i = find(c, next, hi, base+delta); i < 0 {
				return runtime.Breach("the smart module gives a record that it was not given, or out of order")
			}
			next = i + 1
		}
		if s.kind == filter {
			c.Keep(i)
			continue
		}
		out := *c.Record(i)
		out.Key, out.Value, out.JSON = c.Copy(key), c.Copy(value), stream.JSONUnknown
		c.Emit(i, &out)
	}
	if r.bad {
		return runtime.Breach("what the smart module copied out is not a batch")
	}
	return nil
}

// find returns the record of [lo, hi) with an offset, or -1.
func find(c *runtime.Call, lo, hi int, offset int64) int {
	for i := lo; i < hi; i++ {
		if c.Record(i).Origin.Offset == offset {
			return i
		}
	}
	return -1
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error { return nil }
