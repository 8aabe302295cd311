package js

import (
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

// Limits of the engine. They are set below those of the module, so that a script meets an error that names it instead of
// a trap.
const (
	stackBytes  = 256 << 10 // of the engine's 1 MiB; deeper recursion is a RangeError
	marginBytes = 4 << 20   // of the module's memory, for what is not the script's: the engine, and the batch as text
	warmBytes   = 1 << 20   // taken and given back before the snapshot, so that most batches do not make memory grow
	// The engine asks whether to go on once in 10,000 turns of a loop or calls. It is stopped while this much fuel is
	// left. It may spend more before it asks again, some 6 M in a loop of nothing: then it is stopped by the meter, and is told the same.
	reserveFuel = 3_000_000
)

// session is one engine with one script in it.
type session struct {
	script *Script
	host   *runtime.Host
	engine *engine
	ctx    context.Context // of the call under way, for calls back into the engine

	stopped bool // the script was, for want of fuel
	has     script.Functions
	process handle          // the harness's function for a batch
	cursor  uint32          // where the harness notes which record it is at
	saved   script.Snapshot // after the start
	kept    script.Snapshot // of Keep
	threw   bool            // a record of the last call threw: the state of the script is not to be trusted

	input script.Input
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	s.ctx, s.stopped = ctx, false
	if err := s.start(ctx); err != nil {
		var t *thrown
		if left, _ := s.host.Fuel(); s.stopped || left < 0 {
			return runtime.Failure(stream.ReasonFuel, s.spent()+", before it was ready", false)
		}
		if errors.As(err, &t) {
			return fmt.Errorf("%s", s.script.explain(t))
		}
		return err
	}
	if err := s.has.Suit(s.script.name, "flatMap", s.host.Mode() == runtime.Filter); err != nil {
		return err
	}
	return s.save(ctx)
}

func (s *session) start(ctx context.Context) error {
	e := s.engine
	for _, c := range []struct {
		name string
		args []uint64
	}{
		{"_initialize", nil}, {"qjs_init", nil}, {"qjs_set_max_stack_size", []uint64{stackBytes}},
		{"qjs_set_memory_limit", []uint64{uint64(s.RoofBytes())}}, {"qjs_set_interrupt_handler", []uint64{1}},
	} {
		if _, err := e.call(ctx, c.name, c.args...); err != nil {
			return fmt.Errorf("starting the engine: %w", err)
		}
	}
	scratch, err := e.call(ctx, "wasm_malloc", 16)
	if err != nil {
		return err
	}
	e.scratch = uint32(scratch)
	return s.load(ctx)
}

// RoofBytes implements runtime.Roofed: what the engine allocates for the script.
func (s *session) RoofBytes() int64 {
	memory := s.host.MemoryBytes()
	return max(memory-marginBytes, memory/2)
}

// load runs the harness and the script, and tells the script its configuration.
func (s *session) load(ctx context.Context) error {
	e := s.engine
	wrap, err := e.eval(ctx, "harness.js", harness)
	if err != nil {
		return fmt.Errorf("loading the harness: %w", err)
	}
	logger, err := e.with(ctx, "qjs_new_host_function", []byte("log"), 0)
	if err != nil {
		return err
	}
	lookup, err := e.with(ctx, "qjs_new_host_function", []byte(kvGet), 0)
	if err != nil {
		return err
	}
	h, err := e.invoke(ctx, wrap, logger, lookup)
	if err != nil {
		return fmt.Errorf("loading the harness: %w", err)
	}
	if _, err := e.eval(ctx, bundleName, s.script.program); err != nil {
		return err
	}
	global, err := e.call(ctx, "qjs_get_global")
	if err != nil {
		return err
	}
	plugin, err := e.property(ctx, handle(global), "plugin")
	if err != nil {
		return err
	}
	config, err := e.newString(ctx, s.host.Config())
	if err != nil {
		return err
	}
	start, err := e.property(ctx, h, "start")
	if err != nil {
		return err
	}
	if err := s.begin(ctx, start, plugin, config); err != nil {
		return err
	}
	name := "json"
	if s.script.Bytes {
		name = "bytes"
	}
	s.process, err = e.property(ctx, h, name)
	return err
}

// begin calls start of the harness, with a cell of memory for the cursor.
func (s *session) begin(ctx context.Context, start, plugin, config handle) error {
	e := s.engine
	cell, err := e.with(ctx, "qjs_new_array_buffer", []byte{0, 0, 0, 0})
	if err != nil {
		return err
	}
	if s.cursor, _, err = e.bytes(ctx, cell); err != nil {
		return err
	}
	has, err := e.invoke(ctx, start, plugin, config, cell)
	if err != nil {
		return err
	}
	text, err := e.lines(ctx, has)
	if err != nil {
		return err
	}
	var told struct {
		Has    int
		Fields []string
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return fmt.Errorf("reading what the script has: %w", err)
	}
	s.has = script.FunctionsOf(told.Has)
	if err := s.input.Project(told.Fields, s.script.Bytes); err != nil {
		return fmt.Errorf("%s: fields: %w", s.script.name, err)
	}
	return nil
}

// Fields are those that the script wants instead of whole values.
func (s *session) Fields() []string { return s.input.Fields() }

// interrupt is asked by the engine, while a script runs, whether to stop it.
func interrupt(g runtime.Session, _ api.Module, stack []uint64) {
	s := g.(*session)
	stack[0] = 0
	if left, _ := s.host.Fuel(); left < reserveFuel {
		s.stopped, stack[0] = true, 1
	}
}

func (s *session) spent() string {
	_, given := s.host.Fuel()
	return fmt.Sprintf("%s was stopped: it has spent its fuel of %d units", s.script.name, given)
}

const kvGet = "kvGet"

// hostCall is what the harness asks of the host, by its name: console.log and its kind, of a level and a text, and kvGet.
func hostCall(g runtime.Session, m api.Module, stack []uint64) {
	s, argv := g.(*session), uint32(stack[4])
	name, _ := m.Memory().Read(uint32(stack[0]), uint32(stack[1]))
	answer, err := uint64(0), error(nil)
	if string(name) == kvGet {
		answer, err = s.lookUp(m, argv)
	} else {
		answer, err = s.log(m, argv)
	}
	if err != nil {
		runtime.Stop(stream.ReasonTrap, fmt.Sprintf("%s: %v", name, err))
	}
	stack[0] = answer
}

// argument reads argument i of a call as text.
func (s *session) argument(m api.Module, argv uint32, i uint32) ([]byte, error) {
	h, ok := m.Memory().ReadUint32Le(argv + 4*i)
	if !ok {
		return nil, errMemory
	}
	return s.engine.text(s.ctx, handle(h))
}

func (s *session) log(m api.Module, argv uint32) (uint64, error) {
	s.host.CountCall()
	level, err1 := s.argument(m, argv, 0)
	line, err2 := s.argument(m, argv, 1)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if len(level) == 1 {
		s.host.Log(uint32(level[0]-'0'), line)
	}
	return s.engine.call(s.ctx, "qjs_get_undefined")
}

// lookUp answers with "=" and the value, with nothing where there is none, and with undefined where there is nothing to read.
func (s *session) lookUp(m api.Module, argv uint32) (uint64, error) {
	key, err := s.argument(m, argv, 0)
	if err != nil {
		return 0, err
	}
	value, given := s.host.Lookup(key)
	if !given {
		return s.engine.call(s.ctx, "qjs_get_undefined")
	}
	if value != nil {
		value = append([]byte{'='}, value...)
	}
	text, err := s.engine.newString(s.ctx, value)
	return uint64(text), err
}

// Close implements runtime.Session. A script has no last word.
func (s *session) Close(context.Context) error { return nil }

func (s *session) save(ctx context.Context) error {
	e := s.engine
	room, err := e.call(ctx, "wasm_malloc", warmBytes)
	if err != nil {
		return err
	}
	if err := e.release(ctx, uint32(room)); err != nil {
		return err
	}
	if _, err := e.call(ctx, "qjs_run_gc"); err != nil {
		return err
	}
	s.saved.Take(e.module)
	return nil
}

// Reset implements runtime.Resetter.
func (s *session) Reset(context.Context) bool { return s.goBack(&s.saved) }

// Keep implements runtime.Keeper.
func (s *session) Keep() { s.kept.Take(s.engine.module) }

// Return implements runtime.Keeper.
func (s *session) Return() bool { return s.goBack(&s.kept) }

func (s *session) goBack(to *script.Snapshot) bool {
	s.threw = false
	return to.GoBack(s.engine.module)
}

// at reads which record of the engine's batch the harness is at.
func (s *session) at() int {
	b, ok := s.engine.module.Memory().Read(s.cursor, 4)
	if !ok {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}
