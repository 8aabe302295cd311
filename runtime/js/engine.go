package js

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// Engine is the module that runs scripts: QuickJS-NG. See engine/ORIGIN.md.
//
//go:embed engine/quickjs.wasm
var Engine []byte

// EngineSHA256 is the digest of Engine.
const EngineSHA256 = "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9"

//go:embed harness.js
var harness string

// handle is a value inside the engine. 0 is none.
type handle uint32

// engine calls the exports of one instance of Engine. All values it hands out are owned by the caller, who frees them.
type engine struct {
	module    api.Module
	functions map[string]*function
	stack     [4]uint64
	scratch   uint32 // 16 bytes for arguments and results
}

// function is one export. While it runs it cannot be called again: it has one stack, with what waits on it.
type function struct {
	api.Function
	runs bool
}

// exports are the functions of the engine that we call.
var exports = []string{
	"_initialize", "qjs_init", "qjs_set_memory_limit", "qjs_set_max_stack_size", "qjs_set_interrupt_handler", "qjs_run_gc",
	"qjs_eval", "qjs_call", "qjs_is_exception", "qjs_get_exception", "qjs_get_undefined", "qjs_get_global", "qjs_get_prop_string",
	"qjs_get_prop_uint32", "qjs_new_string", "qjs_new_number", "qjs_new_host_function", "qjs_new_array_buffer", "qjs_get_array_buffer",
	"qjs_get_string_len", "qjs_get_float64", "qjs_free_cstring", "qjs_free_value", "wasm_malloc", "wasm_free",
}

func newEngine(m api.Module) (*engine, error) {
	e := &engine{module: m, functions: make(map[string]*function, len(exports))}
	for _, name := range exports {
		f := m.ExportedFunction(name)
		if f == nil {
			return nil, fmt.Errorf("the module is no engine for scripts: it has no %s", name)
		}
		e.functions[name] = &function{Function: f}
	}
	return e, nil
}

// call calls an export of at most four parameters. It may be called again from a host function, for another export.
func (e *engine) call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	f := e.functions[name]
	if f.runs {
		return 0, errWithin
	}
	stack := e.stack
	copy(stack[:], args)
	f.runs = true
	err := f.CallWithStack(ctx, stack[:])
	f.runs = false
	if err != nil {
		return 0, err
	}
	return stack[0], nil
}

var errWithin = errors.New("a value that is made into text writes to the log")

var errMemory = errors.New("the engine has no memory left")

// put copies parts, one after the other, into new memory of the engine, with a zero behind them.
func (e *engine) put(ctx context.Context, parts ...[]byte) (ptr uint32, n int, err error) {
	for _, p := range parts {
		n += len(p)
	}
	r, err := e.call(ctx, "wasm_malloc", uint64(n+1))
	if err != nil {
		return 0, 0, err
	}
	view, ok := e.module.Memory().Read(uint32(r), uint32(n+1))
	if r == 0 || !ok {
		return 0, 0, errMemory
	}
	for _, p := range parts {
		view = view[copy(view, p):]
	}
	view[0] = 0
	return uint32(r), n, nil
}

func (e *engine) release(ctx context.Context, ptr uint32) error {
	_, err := e.call(ctx, "wasm_free", uint64(ptr))
	return err
}

// with runs an export that takes a string, as pointer and length, and gives a handle.
func (e *engine) with(ctx context.Context, name string, text []byte, args ...uint64) (handle, error) {
	ptr, n, err := e.put(ctx, text)
	if err != nil {
		return 0, err
	}
	h, err := e.call(ctx, name, append([]uint64{uint64(ptr), uint64(n)}, args...)...)
	if err != nil {
		return 0, err
	}
	return handle(h), e.release(ctx, ptr)
}

func (e *engine) newString(ctx context.Context, text []byte) (handle, error) {
	return e.with(ctx, "qjs_new_string", text)
}

// eval runs a program; what it throws is an error of type *thrown.
func (e *engine) eval(ctx context.Context, name, program string) (handle, error) {
	file, _, err := e.put(ctx, []byte(name))
	if err != nil {
		return 0, err
	}
	h, err := e.with(ctx, "qjs_eval", []byte(program), uint64(file), 0)
	if err != nil {
		return 0, err
	}
	if err := e.release(ctx, file); err != nil {
		return 0, err
	}
	return e.check(ctx, h)
}

// invoke calls a function of the script with up to three arguments, which it frees.
func (e *engine) invoke(ctx context.Context, f handle, args ...handle) (handle, error) {
	undefined, err := e.call(ctx, "qjs_get_undefined")
	if err != nil {
		return 0, err
	}
	view, ok := e.module.Memory().Read(e.scratch, 16)
	if !ok {
		return 0, errMemory
	}
	for i, a := range args {
		binary.LittleEndian.PutUint32(view[4*i:], uint32(a))
	}
	h, err := e.call(ctx, "qjs_call", uint64(f), undefined, uint64(len(args)), uint64(e.scratch))
	if err != nil {
		return 0, err
	}
	if err := e.free(ctx, append(args, handle(undefined))...); err != nil {
		return 0, err
	}
	return e.check(ctx, handle(h))
}

// check turns a value that stands for an exception into an error.
func (e *engine) check(ctx context.Context, h handle) (handle, error) {
	is, err := e.call(ctx, "qjs_is_exception", uint64(h))
	if err != nil {
		return 0, err
	}
	if is == 0 {
		return h, nil
	}
	x, err := e.call(ctx, "qjs_get_exception")
	if err != nil {
		return 0, err
	}
	message, err := e.text(ctx, handle(x))
	if err != nil {
		return 0, err
	}
	stack, err := e.property(ctx, handle(x), "stack")
	if err != nil {
		return 0, err
	}
	trace, err := e.text(ctx, stack)
	if err != nil {
		return 0, err
	}
	return 0, &thrown{Message: string(message), Stack: string(trace)}
}

// text reads a value as a string, into memory of ours.
func (e *engine) text(ctx context.Context, h handle) ([]byte, error) {
	r, err := e.call(ctx, "qjs_get_string_len", uint64(h), uint64(e.scratch))
	if err != nil {
		return nil, err
	}
	n, ok1 := e.module.Memory().ReadUint32Le(e.scratch)
	view, ok2 := e.module.Memory().Read(uint32(r), n)
	if r == 0 || !ok1 || !ok2 {
		return nil, errMemory
	}
	s := bytes.Clone(view)
	_, err = e.call(ctx, "qjs_free_cstring", r)
	return s, err
}

// lines reads a string, and frees it.
func (e *engine) lines(ctx context.Context, h handle) ([]byte, error) {
	s, err := e.text(ctx, h)
	if err != nil {
		return nil, err
	}
	return s, e.free(ctx, h)
}

func (e *engine) property(ctx context.Context, of handle, name string) (handle, error) {
	ptr, _, err := e.put(ctx, []byte(name))
	if err != nil {
		return 0, err
	}
	h, err := e.call(ctx, "qjs_get_prop_string", uint64(of), uint64(ptr))
	if err != nil {
		return 0, err
	}
	return handle(h), e.release(ctx, ptr)
}

// bytes is the memory of an ArrayBuffer; it is good until the next call.
func (e *engine) bytes(ctx context.Context, buffer handle) (ptr uint32, view []byte, err error) {
	p, err := e.call(ctx, "qjs_get_array_buffer", uint64(buffer), uint64(e.scratch))
	if err != nil {
		return 0, nil, err
	}
	n, ok1 := e.module.Memory().ReadUint32Le(e.scratch)
	view, ok2 := e.module.Memory().Read(uint32(p), n)
	if !ok1 || !ok2 {
		return 0, nil, errMemory
	}
	return uint32(p), view, nil
}

func (e *engine) free(ctx context.Context, handles ...handle) error {
	for _, h := range handles {
		if _, err := e.call(ctx, "qjs_free_value", uint64(h)); err != nil {
			return err
		}
	}
	return nil
}
