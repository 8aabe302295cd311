package meter

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// program makes a module of a few functions out of random decisions. It ends: loops count down, and a function calls
// those behind it, or any of them a few times in all.
type program struct {
	*rand.Rand
	module   *hostile.Module
	function int
	params   []int // of each function
	budget   int
}

const (
	programFuncs  = 6
	programLocals = 6 // beside the counters of loops
	programRounds = 8 // calls that may go round
	programHeavy  = 60
	loopDepth     = 3
)

// ways are what code may branch to, the innermost last: true is a place behind it, false the head of a loop.
type ways []bool

func (w ways) with(behind ...bool) ways { return append(w[:len(w):len(w)], behind...) }

func generate(seed uint64) []byte {
	p := &program{Rand: rand.New(rand.NewPCG(seed, 1)), module: &hostile.Module{}}
	p.module.Memory(2, 4)
	p.module.Table(programFuncs, programFuncs)
	p.module.Global()
	for range programFuncs {
		p.params = append(p.params, p.IntN(3))
	}
	for f := range programFuncs {
		p.function, p.budget = f, 60
		code := hostile.Code(p.block(0, nil), p.value(2))
		kind := strings.Repeat("i", p.params[f]) + ":i"
		p.module.Export(fmt.Sprintf("f%d", f), p.module.Func(kind, programLocals+loopDepth, code))
	}
	var all []int
	for f := range programFuncs {
		all = append(all, f)
	}
	p.module.Elements(all...)
	return p.module.Bytes()
}

func (p *program) local() int { return p.IntN(p.params[p.function] + programLocals) }

// counter is the local that the loop at a depth counts with; no other code writes it.
func (p *program) counter(loops int) []byte {
	return hostile.U(uint64(p.params[p.function] + programLocals + loops))
}

// block is a few statements, within so many loops, and these labels.
func (p *program) block(loops int, around ways) []byte {
	var out []byte
	for range 1 + p.IntN(4) {
		if p.budget--; p.budget < 0 {
			break
		}
		out = append(out, p.statement(loops, around)...)
	}
	return out
}

func (p *program) statement(loops int, around ways) []byte {
	set := func(v []byte) []byte { return hostile.Code(v, hostile.LocalSet, hostile.U(uint64(p.local()))) }
	within := around.with(true)
	switch p.IntN(15) {
	case 0:
		return hostile.Code(p.value(2), hostile.If, hostile.Empty, p.block(loops, within), hostile.Else, p.block(loops, within), hostile.End)
	case 1:
		return hostile.Code(p.value(2), hostile.If, hostile.Empty, p.block(loops, within), hostile.End)
	case 2:
		return hostile.Code(hostile.Block, hostile.Empty, p.block(loops, within), p.value(1), hostile.BrIf, 0, p.block(loops, within), hostile.End)
	case 3, 4:
		if loops == loopDepth {
			break
		}
		n := p.counter(loops)
		return hostile.Code(hostile.Const(int64(1+p.IntN(5))), hostile.LocalSet, n, hostile.Loop, hostile.Empty, p.block(loops+1, around.with(false)),
			hostile.LocalGet, n, hostile.Const(1), hostile.I32Sub, hostile.LocalTee, n, hostile.BrIf, 0, hostile.End)
	case 5:
		address := hostile.Code(p.value(1), hostile.Const(0xffff), 0x71) // and
		return hostile.Code(address, p.value(2), hostile.I32Store, 2, 0)
	case 6:
		end := hostile.Code(p.value(1), hostile.Const(0x7fff), 0x71)
		return hostile.Code(end, p.value(1), hostile.Const(int64(p.IntN(3000))), 0xfc, []byte{11, 0}) // memory.fill
	case 7:
		end := hostile.Code(p.value(1), hostile.Const(0x7fff), 0x71)
		return hostile.Code(end, hostile.Const(int64(p.IntN(1000))), p.value(1), hostile.Const(0x3ff), 0x71, 0xfc, []byte{10, 0, 0}) // memory.copy
	case 8:
		return hostile.Code(hostile.Const(1), hostile.MemoryGrow, 0, hostile.LocalSet, hostile.U(uint64(p.local())))
	case 9: // three ways out
		return hostile.Code(hostile.Block, hostile.Empty, hostile.Block, hostile.Empty, p.value(1), hostile.BrTable, 2, 0, 1, p.IntN(2), hostile.End,
			p.block(loops, around.with(true)), hostile.End)
	case 10:
		return p.leave(around)
	case 11:
		return hostile.Code(hostile.Block, hostile.Empty, p.block(loops, within), hostile.End)
	case 12:
		return hostile.Repeat(p.IntN(programHeavy), hostile.Code(hostile.Const(8), hostile.I32Load, 2, 0, hostile.Drop))
	case 13:
		return p.again()
	}
	return set(p.value(3))
}

// leave goes to what is behind one of the labels, or returns, or branches to the label of the function, now and then.
func (p *program) leave(around ways) []byte {
	n := p.IntN(len(around) + 3)
	switch {
	case n < len(around):
		if to := len(around) - 1 - n; around[to] {
			return hostile.Code(p.value(1), hostile.BrIf, n)
		}
		return nil
	case n == len(around):
		return hostile.Code(p.value(1), p.value(1), hostile.BrIf, len(around), hostile.Drop)
	}
	return hostile.Code(p.value(1), hostile.If, hostile.Empty, p.value(1), hostile.Return, hostile.End)
}

// again calls any of the functions, as long as that has not been done too often.
func (p *program) again() []byte {
	to := p.IntN(programFuncs)
	var args []byte
	for range p.params[to] {
		args = append(args, p.value(0)...)
	}
	return hostile.Code(hostile.GlobalGet, 0, hostile.Const(programRounds), hostile.I32LtU, hostile.If, hostile.Empty,
		hostile.GlobalGet, 0, hostile.Const(1), hostile.I32Add, hostile.GlobalSet, 0, args, hostile.Call, to, hostile.Drop, hostile.End)
}

// value is an expression of type i32.
func (p *program) value(depth int) []byte {
	if depth == 0 || p.IntN(4) == 0 {
		if p.IntN(2) == 0 {
			return hostile.Get(p.local())
		}
		return hostile.Const(int64(int32(p.Uint32() >> p.IntN(32))))
	}
	switch p.IntN(8) {
	case 0:
		return hostile.Code(p.value(depth-1), hostile.Const(0xfff), 0x71, hostile.I32Load, 2, hostile.U(uint64(p.IntN(64))))
	case 1:
		return hostile.Code(p.value(depth-1), p.value(depth-1), hostile.I32DivS) // traps now and then
	case 2:
		return p.call(depth)
	case 3:
		return hostile.Code(hostile.MemorySize, 0)
	default:
		operators := []int{0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x76, 0x46, 0x48, 0x4a}
		return hostile.Code(p.value(depth-1), p.value(depth-1), operators[p.IntN(len(operators))])
	}
}

// call calls a function behind this one, by its number or through the table.
func (p *program) call(depth int) []byte {
	if p.function+1 >= programFuncs || p.budget < 10 {
		return hostile.Const(7)
	}
	p.budget -= 10
	to := p.function + 1 + p.IntN(programFuncs-p.function-1)
	var out []byte
	for range p.params[to] {
		out = append(out, p.value(depth-1)...)
	}
	if p.IntN(2) == 0 {
		return hostile.Code(out, hostile.Call, to)
	}
	kind := p.module.Type(strings.Repeat("i", p.params[to]) + ":i")
	return hostile.Code(out, hostile.Const(int64(to)), hostile.CallIndirect, hostile.U(uint64(kind)), 0)
}

func TestGeneratedProgramsGiveEqualResults(t *testing.T) {
	t.Parallel()
	e := newEngines(t)
	for seed := range uint64(300) {
		e.compare(t, seed)
	}
	if e.trapped == 0 || e.returned < 500 {
		t.Errorf("%d calls returned and %d trapped: the programs say little", e.returned, e.trapped)
	}
}

func FuzzProgramsGiveEqualResults(f *testing.F) {
	f.Add(uint64(1))
	e := newEngines(f)
	f.Fuzz(func(t *testing.T, seed uint64) { e.compare(t, seed) })
}

// engines run the plain module and the metered one.
type engines struct {
	wazero.Runtime
	returned, trapped int
}

func newEngines(t testing.TB) *engines { return &engines{Runtime: newBareEngine(t)} }

func (e *engines) compare(t *testing.T, seed uint64) {
	wasm := generate(seed)
	m, err := Read(wasm, Default())
	if err != nil {
		t.Fatalf("program %d: %v", seed, err)
	}
	plain, metered := e.start(t, wasm), e.start(t, m.Metered())
	defer plain.Close(t.Context())
	defer metered.Close(t.Context())
	for f := range programFuncs {
		name := fmt.Sprintf("f%d", f)
		args := make([]uint64, len(plain.ExportedFunction(name).Definition().ParamTypes()))
		for i := range args {
			args[i] = uint64(i * 1000)
		}
		metered.ExportedGlobal(FuelExport).(api.MutableGlobal).Set(specFuel)
		metered.ExportedGlobal(DepthExport).(api.MutableGlobal).Set(specDepth)
		a, aerr := plain.ExportedFunction(name).Call(t.Context(), args...)
		b, berr := metered.ExportedFunction(name).Call(t.Context(), args...)
		if got, want := outcome(b, berr), outcome(a, aerr); got != want {
			t.Fatalf("program %d, %s: plain %s, metered %s", seed, name, want, got)
		}
		if left := int64(metered.ExportedGlobal(FuelExport).Get()); left > specFuel || berr == nil && left == specFuel || left < 0 {
			t.Fatalf("program %d, %s: %d units are left of %d", seed, name, left, specFuel)
		}
		if left := metered.ExportedGlobal(DepthExport).Get(); berr == nil && left != specDepth {
			t.Fatalf("program %d, %s: the depth is %d after the call", seed, name, left)
		}
		if aerr != nil {
			e.trapped++
		} else {
			e.returned++
		}
	}
	if !bytes.Equal(contents(plain), contents(metered)) {
		t.Fatalf("program %d: the memories differ", seed)
	}
}

func (e *engines) start(t *testing.T, wasm []byte) api.Module {
	t.Helper()
	m, err := e.InstantiateWithConfig(t.Context(), wasm, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func contents(m api.Module) []byte {
	b, _ := m.Memory().Read(0, m.Memory().Size())
	return b
}

func outcome(results []uint64, err error) string {
	if err != nil {
		return strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return fmt.Sprint(results)
}

// essence is the module without the custom sections: the engine refuses names that it finds broken.
func (m *Module) essence() []byte {
	out := append([]byte{}, m.raw[:8]...)
	for _, s := range m.sections {
		if raw := m.raw[s.from:s.to]; s.id != customSection {
			out = append(unsigned(append(out, s.id), uint64(len(raw))), raw...)
		}
	}
	return out
}

// FuzzRead feeds the reader with anything: it never panics, and what it accepts is as valid before as after.
func FuzzRead(f *testing.F) {
	for _, c := range hostile.Structure() {
		if len(c.Module) < 10_000 {
			f.Add(c.Module)
		}
	}
	f.Add(generate(1))
	examples, err := filepath.Glob("../testdata/*.wasm")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no modules to begin with: %v", err)
	}
	for _, name := range examples {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	engine := wazero.NewRuntime(f.Context())
	f.Cleanup(func() { engine.Close(context.Background()) })
	valid := func(t *testing.T, wasm []byte) bool {
		c, err := engine.CompileModule(t.Context(), wasm)
		if err == nil {
			err = c.Close(t.Context())
		}
		return err == nil
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := Read(wasm, Default())
		if err != nil {
			return
		}
		if before, after := valid(t, m.essence()), valid(t, m.Metered()); before != after {
			t.Errorf("valid before %v, after %v", before, after)
		}
		if err := readsAgain(m); err != nil {
			t.Errorf("the metered module does not read: %v", err)
		}
	})
}
