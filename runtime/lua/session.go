package lua

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/script"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const (
	stateBytes = 20 // of the engine's state: the record at hand, and where its answers and its outputs are
	starved    = 1  // what batch returns if there was no memory left
)

// session is one engine with one script in it.
type session struct {
	script *Script
	host   *runtime.Host
	ctx    context.Context // of the call under way, for calls back into the engine

	initialize, input, state, begin, run api.Function

	stateAt uint32
	has     script.Functions
	nested  []api.Function // invoke, one for each protected call within protected calls
	level   int            // how many are under way
	saved   script.Snapshot
	kept    script.Snapshot // of Keep
	threw   bool            // a record of the last call threw: the state of the script is not to be trusted
	in      script.Input
	found   []byte // by the last lookup
	stack   [5]uint64
}

// call calls an export with up to five parameters.
func (s *session) call(f api.Function, args ...uint64) (uint64, error) {
	copy(s.stack[:], args)
	err := f.CallWithStack(s.ctx, s.stack[:])
	return s.stack[0], err
}

// put writes parts, one after the other, where the engine reads.
func (s *session) put(parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	at, err := s.call(s.input, uint64(n))
	if err != nil {
		return err
	}
	view, ok := s.host.Module.Memory().Read(uint32(at), uint32(n))
	if at == 0 || !ok {
		return s.full()
	}
	for _, p := range parts {
		view = view[copy(view, p):]
	}
	return nil
}

func (s *session) full() error {
	return runtime.Failure(stream.ReasonLimit, fmt.Sprintf("%s is out of memory: the limit memory is %d bytes", s.script.name, s.host.MemoryBytes()), false)
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	s.ctx = ctx
	if _, err := s.call(s.initialize); err != nil {
		return err
	}
	at, err := s.call(s.state)
	if err != nil {
		return err
	}
	s.stateAt = uint32(at)
	if err := s.load(); err != nil {
		return err
	}
	if err := s.has.Suit(s.script.name, "flat_map", s.host.Mode() == runtime.Filter); err != nil {
		return err
	}
	s.saved.Take(s.host.Module)
	return nil
}

// load runs the script, and tells it its configuration.
func (s *session) load() error {
	source := s.script.source(s.host.Config())
	if err := s.put(source); err != nil {
		return err
	}
	has, err := s.call(s.begin, uint64(len(source)))
	if err != nil {
		return err
	}
	said, _, err := s.answers()
	if err != nil {
		return err
	}
	if bits := int(int32(uint32(has))); bits >= 0 {
		s.has = script.FunctionsOf(bits)
		return s.project(said)
	}
	if len(said) == 0 {
		return s.full()
	}
	why, err := s.explain(bytes.TrimSpace(said[1:]))
	if err != nil {
		return err
	}
	return errors.New(why)
}

// project takes the list of fields that the script wants.
func (s *session) project(list []byte) error {
	if len(list) == 0 {
		return nil
	}
	var names []string
	err := json.Unmarshal(list, &names)
	if err == nil {
		err = s.in.Project(names, s.script.Bytes)
	}
	if err != nil {
		return fmt.Errorf("%s: fields: %w", s.script.name, err)
	}
	return nil
}

// Fields are those that the script wants instead of whole values.
func (s *session) Fields() []string { return s.in.Fields() }

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.ctx, s.level = ctx, 0
	if err := s.in.Each(c, s.script.Bytes, func(todo []int) error { return s.batch(c, todo) }); err != nil {
		return err
	}
	if s.threw {
		c.Forgot()
		s.Reset(ctx) // a script's own state is a cache; after an error it starts afresh
	}
	return nil
}

// batch runs the script over some records, and answers them.
func (s *session) batch(c *runtime.Call, todo []int) error {
	in := &s.in
	in.Write(c, todo, s.script.Bytes, s.has.Record)
	if err := s.put(in.Text, in.Lengths, in.Records); err != nil {
		return s.failed(err, c, todo)
	}
	asBytes := uint64(0)
	if s.script.Bytes {
		asBytes = 1
	}
	status, err := s.call(s.run, uint64(len(todo)), uint64(len(in.Text)), uint64(len(in.Lengths)), uint64(len(in.Records)), asBytes)
	if err == nil && status == starved {
		err = s.full()
	}
	if err != nil {
		return s.failed(err, c, todo)
	}
	lines, outputs, err := s.answers()
	if err != nil {
		return err
	}
	a := script.Answers{Call: c, Lines: lines, JSON: stream.JSONValid, Bytes: s.script.Bytes, Outputs: outputs, Explain: s.explain}
	if err := a.Give(todo); err != nil {
		return runtime.Breach("%v", err)
	}
	s.threw = s.threw || a.Failed
	return nil
}

// failed says what an error of the engine means for a call.
func (s *session) failed(err error, c *runtime.Call, todo []int) error {
	at, _ := s.host.Module.Memory().ReadUint32Le(s.stateAt)
	c.At(todo[min(int(at), len(todo)-1)])
	if left, given := s.host.Fuel(); left < 0 {
		return runtime.Failure(stream.ReasonFuel, fmt.Sprintf("%s was stopped: it has spent its fuel of %d units", s.script.name, given), false)
	}
	return err
}

// answers copies what the engine has written.
func (s *session) answers() (lines, outputs []byte, err error) {
	memory := s.host.Module.Memory()
	state, ok := memory.Read(s.stateAt, stateBytes)
	if !ok {
		return nil, nil, runtime.Breach("the engine's state is outside of its memory")
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(state[4*i:]) }
	lines, ok1 := memory.Read(at(1), at(2))
	outputs, ok2 := memory.Read(at(3), at(4))
	if !ok1 || !ok2 {
		return nil, nil, runtime.Breach("the engine's answers are outside of its memory")
	}
	return bytes.Clone(lines), bytes.Clone(outputs), nil
}

// explain reads an error of the script.
func (s *session) explain(text []byte) (string, error) {
	message, err := script.Unquote(text)
	return s.script.place(message), err
}

// protect calls the engine again, for what may throw, and says whether it did: engine.c says why.
func protect(g runtime.Session, m api.Module, stack []uint64) {
	s := g.(*session)
	if s.level == len(s.nested) {
		s.nested = append(s.nested, m.ExportedFunction("invoke"))
	}
	f := s.nested[s.level]
	s.level++
	params := [3]uint64{stack[0], stack[1], stack[2]}
	unwound, err := s.host.Protect(func() error { return f.CallWithStack(s.ctx, params[:]) })
	if s.level--; err != nil {
		panic(err)
	}
	stack[0] = 0
	if unwound {
		stack[0] = 1
	}
}

// What find gives where there is no value.
const (
	absent  = -1
	nothing = -2 // to read
)

// find looks a key up, and gives the length of its value, which take then copies.
func find(g runtime.Session, m api.Module, stack []uint64) {
	s := g.(*session)
	key, ok := m.Memory().Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		runtime.Stop(stream.ReasonContract, "the engine looks up what is outside of its memory")
	}
	value, given := s.host.Lookup(key)
	switch s.found = value; {
	case !given:
		stack[0] = api.EncodeI32(nothing)
	case value == nil:
		stack[0] = api.EncodeI32(absent)
	default:
		stack[0] = api.EncodeI32(int32(len(value)))
	}
}

func take(g runtime.Session, m api.Module, stack []uint64) {
	s := g.(*session)
	if !m.Memory().Write(uint32(stack[0]), s.found) {
		runtime.Stop(stream.ReasonContract, "the engine has no room for what it looks up")
	}
}

// hostLog writes a line of the script to the log.
func hostLog(g runtime.Session, m api.Module, stack []uint64) {
	s := g.(*session)
	s.host.CountCall()
	line, ok := m.Memory().Read(uint32(stack[1]), uint32(stack[2]))
	if !ok {
		runtime.Stop(stream.ReasonContract, "the engine logs what is outside of its memory")
	}
	s.host.Log(uint32(stack[0]), line)
}

// Close implements runtime.Session. A script has no last word.
func (s *session) Close(context.Context) error { return nil }

// Reset implements runtime.Resetter.
func (s *session) Reset(context.Context) bool { return s.goBack(&s.saved) }

// Keep implements runtime.Keeper.
func (s *session) Keep() { s.kept.Take(s.host.Module) }

// Return implements runtime.Keeper.
func (s *session) Return() bool { return s.goBack(&s.kept) }

func (s *session) goBack(to *script.Snapshot) bool {
	s.threw = false
	return to.GoBack(s.host.Module)
}
