package meter

import (
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero/api"
)

const (
	heavyLoads = 60
	heavyCost  = heavyLoads*(costLoad+2*costSimple) + 5*costSimple // with countdown
)

// heavy is more than may be folded into what stands before it.
func heavy() []byte {
	return hostile.Repeat(heavyLoads, hostile.Code(hostile.Const(8), hostile.I32Load, 2, 0, hostile.Drop))
}

// countdown leaves whether there is another turn.
func countdown() []byte {
	return hostile.Code(hostile.Get(0), hostile.Const(1), hostile.I32Sub, hostile.LocalTee, 0)
}

// turning are functions that do what is heavy once for each unit of their parameter.
func turning(m *hostile.Module) map[string][]byte {
	once := func(code []byte) []byte {
		return hostile.Code(hostile.Loop, hostile.Empty, code, hostile.Const(0), hostile.BrIf, 0, hostile.End)
	}
	loop := func(code ...any) []byte {
		return hostile.Code(hostile.Loop, hostile.Empty, hostile.Code(code...), hostile.End)
	}
	simple := loop(heavy(), countdown(), hostile.BrIf, 0)
	deep := simple
	for range maxTurns + 10 {
		deep = once(deep)
	}
	called := m.Func(":", 0, once(heavy()))
	return map[string][]byte{
		"one that turns at its end":   simple,
		"one within many":             deep,
		"one that turns by a table":   loop(heavy(), countdown(), hostile.I32Eqz, hostile.BrTable, 1, 0, 1),
		"one that turns by a br":      loop(heavy(), countdown(), hostile.If, hostile.Empty, hostile.Br, 1, hostile.End),
		"one that turns in two ways":  loop(heavy(), countdown(), hostile.Const(1), hostile.I32And, hostile.BrIf, 0, hostile.Get(0), hostile.BrIf, 0),
		"one with a parameter":        hostile.Code(hostile.Const(0), hostile.Loop, hostile.U(uint64(m.Type("i:"))), hostile.Drop, heavy(), hostile.Const(0), countdown(), hostile.BrIf, 0, hostile.Drop, hostile.End),
		"one with a result":           hostile.Code(hostile.Loop, hostile.I32, heavy(), countdown(), hostile.BrIf, 0, hostile.Const(1), hostile.End, hostile.Drop),
		"one with one that is passed": loop(once(heavy()), countdown(), hostile.BrIf, 0),
		"one that passes another":     loop(hostile.Block, hostile.Empty, loop(heavy(), hostile.Const(1), hostile.BrIf, 1, hostile.Br, 0), hostile.End, countdown(), hostile.BrIf, 0),
		"one that calls one":          loop(hostile.Call, called, countdown(), hostile.BrIf, 0),
		"one in an arm":               hostile.Code(hostile.Const(1), hostile.If, hostile.Empty, simple, hostile.End),
		"one turned from within":      loop(heavy(), loop(countdown(), hostile.BrIf, 1)),
	}
}

// TestEachTurnOfALoopIsPaid compares n turns with one more, in all the ways in which a loop may turn, and stops each.
func TestEachTurnOfALoopIsPaid(t *testing.T) {
	var m hostile.Module
	m.Memory(1, 1)
	loops := turning(&m)
	for name, code := range loops {
		m.Export(name, m.Func("i:", 0, code))
	}
	read, err := Read(m.Bytes(), Default())
	if err != nil {
		t.Fatal(err)
	}
	e := newEngines(t).start(t, read.Metered())
	fuel := e.ExportedGlobal(FuelExport).(api.MutableGlobal)
	e.ExportedGlobal(DepthExport).(api.MutableGlobal).Set(1000)
	for name := range loops {
		run := func(n, given uint64) (spent int64, err error) {
			fuel.Set(given)
			_, err = e.ExportedFunction(name).Call(t.Context(), n)
			return int64(given - fuel.Get()), err
		}
		least, err1 := run(40, specFuel)
		more, err2 := run(41, specFuel)
		if turn := more - least; err1 != nil || err2 != nil || turn < heavyCost || turn > heavyCost+foldCost {
			t.Errorf("%s: a turn costs %d units of %d, errors %v, %v", name, turn, heavyCost, err1, err2)
		}
		if spent, err := run(1000, 100*heavyCost); err == nil || spent <= 100*heavyCost || spent > 110*heavyCost {
			t.Errorf("%s: %d units were spent of %d, error %v", name, spent, 100*heavyCost, err)
		}
	}
}

// TestWhatIsSpentInALoopTraps spends fuel and depth within loops in other ways than by turning.
func TestWhatIsSpentInALoopTraps(t *testing.T) {
	var m hostile.Module
	m.Memory(1, 1)
	m.Table(1, 1)
	within := func(code ...any) []byte {
		for range 3 {
			code = []any{hostile.Loop, hostile.Empty, hostile.Code(code...), hostile.Get(0), hostile.I32Eqz, hostile.BrIf, 0, hostile.End}
		}
		return hostile.Code(code...)
	}
	m.Export("fill", m.Func("i:", 0, within(hostile.Const(0), hostile.Const(0), hostile.Const(1<<16), 0xfc, []byte{11, 0})))
	self := m.Func("i:", 0, within(hostile.Get(0), hostile.Const(0), hostile.CallIndirect, hostile.U(uint64(m.Type("i:"))), 0))
	m.Elements(self)
	m.Export("call", self)
	read, err := Read(m.Bytes(), Default())
	if err != nil {
		t.Fatal(err)
	}
	e := newEngines(t).start(t, read.Metered())
	fuel, depth := e.ExportedGlobal(FuelExport).(api.MutableGlobal), e.ExportedGlobal(DepthExport).(api.MutableGlobal)
	for name, given := range map[string]uint64{"fill": 10_000, "call": specFuel} {
		fuel.Set(given)
		depth.Set(100)
		_, err := e.ExportedFunction(name).Call(t.Context(), 1)
		if gone := int64(fuel.Get()) < 0 || int32(uint32(depth.Get())) < 0; err == nil || !gone {
			t.Errorf("%s: error %v, %d units and a depth of %d are left", name, err, int64(fuel.Get()), int32(uint32(depth.Get())))
		}
	}
}
