// Package connect lets modules made for the wasm processor of Redpanda Connect run unchanged.
//
// The host calls one function for each message, without parameters. The function asks for the message and its metadata,
// and sets them, by host functions; what it asks for is written into memory that it has allocated for the host.
package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const module = "benthos_wasm"

// Dialect is the ABI.
type Dialect struct{}

// Name implements runtime.Dialect.
func (Dialect) Name() string { return "connect" }

// Speaks implements runtime.Dialect.
func (Dialect) Speaks(m *meter.Module) bool { return m.ImportsFrom(module) }

// Check implements runtime.Dialect. What the host is to write into is allocated by allocate, and is the guest's then, or
// by malloc, and is freed by the host.
func (Dialect) Check(m *meter.Module) error {
	_, allocates := m.Exported("allocate")
	for _, e := range []struct {
		name, types string
		wanted      bool
	}{
		{"allocate", "i:i", false}, {"malloc", "i:i", !allocates}, {"free", "i:", !allocates}, {"deallocate", "ii:", false},
	} {
		if err := runtime.CheckExport(m, e.name, e.types, e.wanted); err != nil {
			return fmt.Errorf("a module for Redpanda Connect exports allocate, or malloc and free: %w", err)
		}
	}
	return nil
}

// Functions implements runtime.Dialect.
func (Dialect) Functions() []runtime.HostFunction {
	of := func(call func(*session, api.Memory, []uint64)) func(runtime.Session, api.Module, []uint64) {
		return func(g runtime.Session, m api.Module, stack []uint64) {
			s := g.(*session)
			if s.host.CountCall(); s.call == nil {
				runtime.Stop(stream.ReasonContract, "the module asks for a message, and none is at hand")
			}
			call(s, m.Memory(), stack)
		}
	}
	return []runtime.HostFunction{
		{Module: module, Name: "v0_msg_as_bytes", Types: ":I", Call: of((*session).asBytes)},
		{Module: module, Name: "v0_msg_set_bytes", Types: "ii:", Call: of((*session).setBytes)},
		{Module: module, Name: "v0_msg_get_meta", Types: "ii:I", Call: of((*session).getMeta)},
		{Module: module, Name: "v0_msg_set_meta", Types: "iiii:", Call: of((*session).setMeta)},
	}
}

// Open implements runtime.Dialect.
func (Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	if h.Mode() == runtime.Filter {
		return nil, errors.New("a module for Redpanda Connect has no way to drop a message; use it as a transform")
	}
	config := struct {
		Function string `json:"function"`
	}{"process"}
	r := json.NewDecoder(bytes.NewReader(h.Config()))
	r.DisallowUnknownFields()
	if err := r.Decode(&config); err != nil {
		return nil, fmt.Errorf("the config of a module for Redpanda Connect is function, the name of what it exports: %w", err)
	}
	s := &session{host: h, process: h.Module.ExportedFunction(config.Function)}
	if s.process == nil || len(s.process.Definition().ParamTypes()) > 0 {
		return nil, fmt.Errorf("the module exports no function %q without parameters; name the one to call with function, in its config", config.Function)
	}
	s.allocate, s.deallocate = h.Module.ExportedFunction("allocate"), h.Module.ExportedFunction("deallocate")
	if s.allocate == nil {
		s.allocate, s.free = h.Module.ExportedFunction("malloc"), h.Module.ExportedFunction("free")
	}
	return s, nil
}

// session is one module.
type session struct {
	host                       *runtime.Host
	process                    api.Function
	allocate, free, deallocate api.Function // free is nil if what was allocated is the guest's, deallocate if it is not there

	ctx     context.Context
	call    *runtime.Call
	record  stream.Record // the message at hand, as it is by now
	changed bool
	asking  bool     // the guest's allocator runs
	lent    []uint64 // what the guest has allocated for the message, and gets back
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	for _, name := range []string{"_initialize", "_start"} {
		f := s.host.Module.ExportedFunction(name)
		if f == nil {
			continue
		}
		_, err := f.Call(ctx)
		if runtime.Exited(err) {
			return fmt.Errorf("%s ended the module: it must return, so that there is something left to call", name)
		}
		return err
	}
	return nil
}

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.ctx, s.call = ctx, c
	defer func() { s.ctx, s.call = nil, nil }()
	for i := range c.Len() {
		c.At(i)
		s.record, s.changed, s.lent = *c.Record(i), false, s.lent[:0]
		if _, err := s.process.Call(ctx); err != nil {
			return err
		}
		for _, p := range s.lent {
			if _, err := s.free.Call(ctx, p); err != nil {
				return err
			}
		}
		if s.changed {
			c.Emit(i, &s.record)
		} else {
			c.Keep(i)
		}
	}
	return nil
}

// ask calls the guest's allocator from within a host function; it must not call one itself.
func (s *session) ask(f api.Function, params ...uint64) []uint64 {
	if s.asking {
		runtime.Stop(stream.ReasonContract, "the module's allocator asks for the message that it is to make room for")
	}
	s.asking = true
	r, err := f.Call(s.ctx, params...)
	s.asking = false
	if err != nil {
		panic(err)
	}
	return r
}

// lend writes b into memory of the guest, which pays for it, and returns where it is.
func (s *session) lend(memory api.Memory, b []byte) uint64 {
	s.host.Charge(len(b))
	p := s.ask(s.allocate, uint64(len(b)))[0]
	if s.free != nil {
		s.lent = append(s.lent, p)
	}
	if !memory.Write(uint32(p), b) {
		runtime.Stop(stream.ReasonContract, fmt.Sprintf("the module's allocator gave %d, where there is no room for %d bytes", uint32(p), len(b)))
	}
	return p<<32 | uint64(len(b))
}

// take copies what the guest gives, which is let go then.
func (s *session) take(memory api.Memory, p, n uint64) []byte {
	view, ok := memory.Read(uint32(p), uint32(n))
	if !ok {
		runtime.Stop(stream.ReasonContract, "the module gave an address outside its memory")
	}
	b := s.call.Copy(view)
	if s.deallocate != nil {
		s.ask(s.deallocate, p, n)
	}
	return b
}

func (s *session) asBytes(memory api.Memory, stack []uint64) {
	stack[0] = s.lend(memory, s.record.Value)
}

func (s *session) setBytes(memory api.Memory, p []uint64) {
	s.record.Value, s.record.JSON, s.changed = s.take(memory, p[0], p[1]), stream.JSONUnknown, true
}

func (s *session) getMeta(memory api.Memory, stack []uint64) {
	stack[0] = s.lend(memory, metadata(&s.record, string(s.take(memory, stack[0], stack[1]))))
}

func (s *session) setMeta(memory api.Memory, p []uint64) {
	name, value := string(s.take(memory, p[0], p[1])), s.take(memory, p[2], p[3])
	if !setMetadata(&s.record, name, value) {
		runtime.Stop(stream.ReasonContract, fmt.Sprintf("the module sets the metadata %q, which says where the record is from", name))
	}
	if n := len(s.record.Headers); n > runtime.OutputHeaders { // it could not come out, and each more would cost more than the one before
		runtime.Stop(stream.ReasonOutput, fmt.Sprintf("an output of %d headers is over the limit of %d", n, runtime.OutputHeaders))
	}
	s.changed = true
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error { return nil }
