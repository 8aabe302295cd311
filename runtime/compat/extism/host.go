package extism

import (
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// logLevel is what a guest is told is logged: info and above, as it counts them.
const logLevel = 2

// noHTTP is why a record fails that the plugin sends a request for. That it imports the function says nothing: whatever is made
// with the PDK for JavaScript does.
const noHTTP = "the plugin sends an HTTP request, and a plugin reaches no network"

// Functions implements runtime.Dialect. They answer what is out of range with nothing, as Extism's do.
func (Dialect) Functions() []runtime.HostFunction {
	list := []runtime.HostFunction{
		of("alloc", "I:I", func(s *session, p []uint64) { p[0] = s.alloc(p[0]) }),
		of("free", "I:", func(s *session, p []uint64) { s.memory.free(p[0]) }),
		of("length", "I:I", func(s *session, p []uint64) { p[0] = s.memory.blocks[p[0]] }),
		of("length_unsafe", "I:I", func(s *session, p []uint64) { p[0] = s.memory.blocks[p[0]] }),
		of("load_u8", "I:i", func(s *session, p []uint64) { p[0] = s.memory.load(span{p[0], 1}) }),
		of("load_u64", "I:I", func(s *session, p []uint64) { p[0] = s.memory.load(span{p[0], 8}) }),
		of("store_u8", "Ii:", func(s *session, p []uint64) { s.memory.store(span{p[0], 1}, p[1]) }),
		of("store_u64", "II:", func(s *session, p []uint64) { s.memory.store(span{p[0], 8}, p[1]) }),
		of("input_offset", ":I", func(s *session, p []uint64) { p[0] = s.input.at }),
		of("input_length", ":I", func(s *session, p []uint64) { p[0] = s.input.n }),
		of("input_load_u8", "I:i", func(s *session, p []uint64) { p[0] = s.loadInput(p[0], 1) }),
		of("input_load_u64", "I:I", func(s *session, p []uint64) { p[0] = s.loadInput(p[0], 8) }),
		of("output_set", "II:", func(s *session, p []uint64) { s.output = span{p[0], p[1]} }),
		of("error_set", "I:", func(s *session, p []uint64) { s.failure = p[0] }),
		of("config_get", "I:I", func(s *session, p []uint64) { p[0] = s.give([]byte(s.config[s.name(p[0])])) }),
		of("var_get", "I:I", func(s *session, p []uint64) { p[0] = s.give(s.vars[s.name(p[0])]) }),
		of("var_set", "II:", func(s *session, p []uint64) { s.setVar(s.name(p[0]), s.memory.block(p[1])) }),
		of("http_request", "II:I", func(*session, []uint64) { runtime.Stop(stream.ReasonError, noHTTP) }),
		of("http_status_code", ":i", func(_ *session, p []uint64) { p[0] = 0 }), // there was no request
		of("http_headers", ":I", func(_ *session, p []uint64) { p[0] = 0 }),
		of("get_log_level", ":i", func(_ *session, p []uint64) { p[0] = logLevel }),
	}
	for name, level := range map[string]uint32{"log_trace": 0, "log_debug": 0, "log_info": 1, "log_warn": 2, "log_error": 3} {
		list = append(list, of(name, "I:", func(s *session, p []uint64) { s.host.Log(level, s.memory.block(p[0])) }))
	}
	return list
}

func of(name, types string, call func(*session, []uint64)) runtime.HostFunction {
	return runtime.HostFunction{Module: module, Name: name, Types: types, Call: func(s runtime.Session, _ api.Module, stack []uint64) {
		call(s.(*session), stack)
	}}
}

// alloc lets the guest pay for the block.
func (s *session) alloc(n uint64) uint64 {
	at := s.memory.alloc(n)
	if at > 0 {
		s.host.Charge(int(n))
	}
	return at
}

// give hands b over in a new block; nothing is null.
func (s *session) give(b []byte) uint64 {
	at := s.alloc(uint64(len(b)))
	copy(s.memory.block(at), b)
	return at
}

// name is a text of the guest's that it looks something up by.
func (s *session) name(at uint64) string {
	b := s.memory.block(at)
	s.host.Charge(len(b))
	return string(b)
}

// loadInput reads n bytes at an offset within the input.
func (s *session) loadInput(offset, n uint64) uint64 {
	if offset > s.input.n || n > s.input.n-offset {
		return 0
	}
	return s.memory.load(span{s.input.at + offset, n})
}

// setVar keeps a copy of value, or forgets the variable if there is none.
func (s *session) setVar(name string, value []byte) {
	if old, ok := s.vars[name]; ok {
		s.kept -= len(name) + len(old)
		delete(s.vars, name)
	}
	if value == nil {
		return
	}
	if s.kept += len(name) + len(value); s.kept > varsLimitBytes {
		runtime.Stop(stream.ReasonLimit, fmt.Sprintf("the plugin keeps more than %d bytes in variables", varsLimitBytes))
	}
	s.host.Charge(len(value))
	s.vars[name] = append([]byte{}, value...)
}
