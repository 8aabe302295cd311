// Package extism lets Extism plugins run unchanged: a function without parameters, which is called once for each record.
//
// Guest and host exchange input, output and all texts in a memory that belongs to neither: the guest allocates blocks of
// it, and loads and stores eight bytes at a time, by host functions.
package extism

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const (
	module = "extism:host/env"
	users  = "extism:host/user"
)

// Dialect is the ABI.
type Dialect struct{}

// Name implements runtime.Dialect.
func (Dialect) Name() string { return "extism" }

// Speaks implements runtime.Dialect.
func (Dialect) Speaks(m *meter.Module) bool { return m.ImportsFrom(module) }

// Check implements runtime.Dialect.
func (Dialect) Check(m *meter.Module) error {
	for _, i := range m.Imports {
		if i.Module == users {
			return fmt.Errorf("the Extism plugin imports %q of %s; host functions of one's own are not supported", i.Name, users)
		}
	}
	return nil
}

// Open implements runtime.Dialect.
func (Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	var config struct {
		Function string            `json:"function"`
		Config   map[string]string `json:"config"`
	}
	r := json.NewDecoder(bytes.NewReader(h.Config()))
	r.DisallowUnknownFields()
	if err := r.Decode(&config); err != nil {
		return nil, fmt.Errorf("the config of an Extism plugin is function, a name, and config, names and texts: %w", err)
	}
	f, err := function(h.Module, config.Function)
	if err != nil {
		return nil, err
	}
	return &session{host: h, function: f, config: config.Config, vars: map[string][]byte{},
		memory: memory{limit: int(h.MemoryBytes()), blocks: map[uint64]uint64{}}}, nil
}

// function is the one that is asked for, or the only one that there is.
func function(m api.Module, name string) (api.Function, error) {
	var names []string
	for n, d := range m.ExportedFunctionDefinitions() {
		fits := len(d.ParamTypes()) == 0 && len(d.ResultTypes()) <= 1 && !strings.HasPrefix(n, "_")
		if fits && (name == "" || n == name) {
			names = append(names, n)
		}
	}
	if slices.Sort(names); len(names) == 1 {
		return m.ExportedFunction(names[0]), nil
	}
	if name != "" {
		return nil, fmt.Errorf("the Extism plugin exports no function %q without parameters", name)
	}
	return nil, fmt.Errorf("the Extism plugin exports %d functions without parameters, %q; name the one to call with function, in its config", len(names), names)
}

// varsLimitBytes bounds what a plugin keeps in variables, names and values.
const varsLimitBytes = 1 << 20

// session is one plugin.
type session struct {
	host     *runtime.Host
	function api.Function
	config   map[string]string
	vars     map[string][]byte
	kept     int // bytes in vars
	memory   memory

	// of the record at hand
	input, output span
	failure       uint64 // the block with the error
	stack         [1]uint64
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	for _, name := range []string{"_initialize", "__wasm_call_ctors"} {
		if f := s.host.Module.ExportedFunction(name); f != nil {
			_, err := f.Call(ctx)
			return err
		}
	}
	return nil
}

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	for i := range c.Len() {
		if c.Record(i).Value == nil {
			c.Keep(i)
			continue
		}
		c.At(i)
		if err := s.one(ctx, c, i); err != nil {
			return err
		}
	}
	return nil
}

// one calls the function for record i.
func (s *session) one(ctx context.Context, c *runtime.Call, i int) error {
	value := c.Record(i).Value
	s.memory.reset()
	s.input, s.output, s.failure = span{s.memory.put(value), uint64(len(value))}, span{}, 0
	if s.input.at == 0 && s.input.n > 0 {
		c.Fail(i, stream.ReasonLimit, fmt.Sprintf("the value of %d bytes is over the limit memory of %d", len(value), s.memory.limit))
		return nil
	}
	s.stack[0] = 0
	if err := s.function.CallWithStack(ctx, s.stack[:]); err != nil {
		return err
	}
	if code := int32(uint32(s.stack[0])); code != 0 {
		text := string(s.memory.block(s.failure))
		if text == "" {
			text = fmt.Sprintf("the plugin returns %d, and says no more", code)
		}
		c.Fail(i, stream.ReasonError, text)
		return nil
	}
	out := s.memory.view(s.output)
	if out == nil && s.output.n > 0 {
		return runtime.Breach("output_set was given %d bytes at %d, which are not in the memory of %d", s.output.n, s.output.at, len(s.memory.bytes))
	}
	if s.host.Mode() == runtime.Filter {
		return s.filter(c, i, out)
	}
	if len(out) > 0 { // else it is dropped
		r := *c.Record(i)
		r.Value, r.JSON = c.Copy(out), stream.JSONUnknown
		c.Emit(i, &r)
	}
	return nil
}

// filter takes the output as an answer.
func (s *session) filter(c *runtime.Call, i int, out []byte) error {
	switch string(bytes.TrimSpace(out)) {
	case "true":
		c.Keep(i)
	case "false":
		c.Drop(i)
	default:
		c.Fail(i, stream.ReasonContract, fmt.Sprintf("the plugin's output is %.40q; in a filter it is true or false", out))
	}
	return nil
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error { return nil }
