package meter

import (
	"fmt"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
)

// recursive adds a function that does once, and then calls itself as often as its parameter says, directly or through the table.
func recursive(m *hostile.Module, direct bool, locals int, once []byte) (self int) {
	self = m.Func(":", 0, nil) + 1
	again := hostile.Code(hostile.Call, hostile.U(uint64(self)))
	if !direct {
		again = hostile.Code(hostile.Const(0), hostile.CallIndirect, hostile.U(uint64(m.Type("i:"))), 0)
		m.Table(1, 1)
		m.Elements(self)
	}
	return m.Func("i:", locals, hostile.Code(once, when(get, get, hostile.Const(1), hostile.I32Sub, again)))
}

// TestDepthEndsAtItsLimit goes as deep as is allowed, and a call deeper.
func TestDepthEndsAtItsLimit(t *testing.T) {
	const limit = 60
	e := newEngines(t)
	for name, c := range map[string]struct {
		direct bool
		locals int    // beside the parameter
		once   []byte // before the call of itself
		fits   uint64 // as its parameter
	}{
		"directly":                {true, 0, nil, limit - 1},
		"through the table":       {false, 0, nil, limit},
		"with a frame of 15":      {true, 12, nil, limit - 1}, // a parameter, and two operands
		"with a frame of 16":      {true, 13, nil, limit/2 - 1},
		"with a frame of 31":      {true, 28, nil, limit/2 - 1},
		"with a frame of 32":      {true, 29, nil, limit/3 - 1},
		"with 15 on its stack":    {true, 0, hostile.Code(hostile.Repeat(14, get), hostile.Repeat(14, hostile.Code(hostile.Drop))), limit - 1},
		"with 16 on its stack":    {true, 0, hostile.Code(hostile.Repeat(15, get), hostile.Repeat(15, hostile.Code(hostile.Drop))), limit/2 - 1},
		"with 16 out of a block":  {true, 0, hostile.Code(hostile.Repeat(14, hostile.Code(hostile.Block, hostile.I32, get, hostile.End)), get, hostile.Repeat(15, hostile.Code(hostile.Drop))), limit/2 - 1},
		"with 16 out of calls":    {true, 0, hostile.Code(hostile.Repeat(15, call(0)), hostile.Repeat(15, hostile.Code(hostile.Drop))), limit/2 - 1},
		"with 16 behind a branch": {true, 0, block(hostile.Repeat(15, get), hostile.Br, 0), limit/2 - 1},
	} {
		var m hostile.Module
		m.Import("sp1", "now_ms", ":I")
		self := recursive(&m, c.direct, c.locals, c.once)
		m.Export("run", m.Func("i:", 0, hostile.Code(get, hostile.Call, hostile.U(uint64(self)))))
		s := e.spender(t, &m, Default())
		for more, fits := range map[int]bool{-1: true, 0: true, 1: false} {
			n := uint64(int64(c.fits) + int64(more))
			_, left, err := s.call("run", specFuel, limit, n)
			if (err == nil) != fits || fits && left != limit || !fits && left >= 0 {
				t.Errorf("%s, %d deep: %d left of %d, error %v", name, n, left, limit, err)
			}
		}
	}
}

// TestDepthIsGivenBack leaves a function that counts in each way there is, again and again in one call.
func TestDepthIsGivenBack(t *testing.T) {
	const limit, deep, rounds = 5, 3, 40
	loop := func(code ...any) []byte {
		return hostile.Code(hostile.Loop, hostile.Empty, hostile.Code(code...), get, hostile.BrIf, 0, hostile.End)
	}
	const out = 2 // blocks that are open where it is left
	behind := func(code ...any) func(values []byte) []byte {
		return func(values []byte) []byte { return hostile.Code(values, hostile.Code(code...)) }
	}
	within := func(code ...any) func(values []byte) []byte {
		return func(values []byte) []byte { return block(loop(block(values, hostile.Code(code...)))) }
	}
	for name, leave := range map[string]func(values []byte) []byte{
		"by its end":                   func([]byte) []byte { return nil },
		"by a return":                  behind(hostile.Return),
		"by a return among operands":   func(values []byte) []byte { return hostile.Code(get, get, values, hostile.Return) },
		"by a branch":                  behind(hostile.Br, out),
		"by a branch if":               behind(hostile.Const(1), hostile.BrIf, out, hostile.Unreachable),
		"by a table":                   behind(hostile.Const(0), hostile.BrTable, 1, out, out),
		"by the default of a table":    behind(hostile.Const(1), hostile.BrTable, 1, out, out),
		"by a branch from deep within": within(hostile.Br, out+3),
		"by a return from deep within": within(hostile.Return),
	} {
		for _, direct := range []bool{true, false} {
			for _, results := range []string{"", "i", "iI"} {
				var m hostile.Module
				m.Memory(1, 1)
				self := m.Func(":", 0, nil) + 1
				again := hostile.Code(get, hostile.Const(1), hostile.I32Sub, hostile.Call, hostile.U(uint64(self)))
				kind := "i:" + results
				if !direct {
					m.Table(1, 1)
					m.Elements(self)
					again = hostile.Code(get, hostile.Const(1), hostile.I32Sub, hostile.Const(0), hostile.CallIndirect, hostile.U(uint64(m.Type(kind))), 0)
				}
				var values []byte
				for _, r := range results {
					again = append(again, hostile.Drop)
					values = append(values, map[rune][]byte{'i': hostile.Const(7), 'I': hostile.Code(hostile.I64Const, 7)}[r]...)
				}
				m.Func(kind, 0, hostile.Code(when(get, again), block(when(hostile.Const(1), leave(values))), values))
				drops := hostile.Repeat(len(results), hostile.Code(hostile.Drop))
				m.Export("run", m.Func(":", 0, hostile.Repeat(rounds, hostile.Code(hostile.Const(deep), hostile.Call, hostile.U(uint64(self)), drops))))
				s := newEngines(t).spender(t, &m, Default())
				if _, left, err := s.call("run", specFuel, limit); err != nil || left != limit {
					t.Errorf("a function of type %q left %s, directly %v: a depth of %d of %d, error %v", kind, name, direct, left, limit, err)
				}
			}
		}
	}
}

// TestAChainCountsFromItsSeventeenthFunctionOn calls functions that do not go round, of a weight of 1 each, but for one.
func TestAChainCountsFromItsSeventeenthFunctionOn(t *testing.T) {
	for name, c := range map[string]struct {
		heavy int // locals of the first
		chain int
		needs int32
		aside string // where each but the first calls one more, which is short
	}{
		"16":                            {0, 16, 0, ""},
		"17":                            {0, 17, 1, ""},
		"16 behind short ones":          {0, 16, 0, "before"},
		"17 behind short ones":          {0, 17, 1, "before"},
		"16 before short ones":          {0, 16, 0, "behind"},
		"17 before short ones":          {0, 17, 1, "behind"},
		"33":                            {0, 33, 1, ""},
		"34":                            {0, 34, 2, ""},
		"one of 16":                     {15 * slots, 1, 0, ""},
		"one of 16, and another":        {15 * slots, 2, 1, ""},
		"one of 17":                     {16 * slots, 1, 17, ""},
		"one of 17, and 16 that follow": {16 * slots, 17, 17, ""},
		"one of 17, and 17 that follow": {16 * slots, 18, 18, ""},
	} {
		var m hostile.Module
		m.Import("sp1", "now_ms", ":I")
		f := m.Func(":", c.heavy, nil)
		light := m.Func(":", 0, nil)
		for n := 1; n < c.chain; n++ {
			code := call(f)
			switch c.aside {
			case "before":
				code = hostile.Code(call(light), code)
			case "behind":
				code = hostile.Code(code, call(light))
			}
			f = m.Func(":", 0, code)
		}
		m.Export("run", f)
		s := newEngines(t).spender(t, &m, Default())
		for depth := range c.needs + 2 {
			if _, left, err := s.call("run", specFuel, depth); (err == nil) != (depth >= c.needs) || err == nil && left != depth {
				t.Errorf("%s: with a depth of %d it ends with %d, error %v", name, depth, left, err)
			}
		}
	}
}

// slots is how many values weigh 1.
const slots = 16

// TestEachFunctionOfACycleCounts has functions that call each other in a ring, from one side of it and from the other, and what only
// leads to the ring or away from it.
func TestEachFunctionOfACycleCounts(t *testing.T) {
	for _, ring := range []int{1, 2, 3, 10} {
		for _, away := range []int{0, 5} {
			var m hostile.Module
			m.Import("sp1", "now_ms", ":I")
			var tail []int
			for range away {
				tail = append(tail, m.Func(":", 0, nil))
			}
			first := 1 + away
			for n := range ring {
				next := first + (n+1)%ring
				var code []byte
				for _, f := range tail {
					code = append(code, call(f)...)
				}
				m.Func("i:", 0, hostile.Code(code, when(get, get, hostile.Const(1), hostile.I32Sub, hostile.Call, hostile.U(uint64(next)))))
			}
			for n := range ring {
				m.Export(fmt.Sprint(n), m.Func("i:", 0, hostile.Code(get, hostile.Call, hostile.U(uint64(first+n)))))
			}
			s := newEngines(t).spender(t, &m, Default())
			const limit = 20
			for n := range ring {
				for deep, fits := range map[uint64]bool{limit - 2: true, limit - 1: true, limit: false} {
					_, left, err := s.call(fmt.Sprint(n), specFuel, limit, deep)
					if (err == nil) != fits || fits && left != limit {
						t.Errorf("a ring of %d from its function %d, %d deep: %d left of %d, error %v", ring, n, deep, left, limit, err)
					}
				}
			}
		}
	}
}
