package runtime

import (
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
)

// TestWhatTheHostDoesIsPaidFor has the host do something, and more of it: what that costs the guest.
func TestWhatTheHostDoesIsPaidFor(t *testing.T) {
	call := func(module, name, kind string, args func(n int64) []any) func(n int64) []byte {
		return func(n int64) []byte {
			return hostile.Plugin(257, func(m *hostile.Module) []byte {
				f := m.Import(module, name, kind)
				code := hostile.Code(append(args(n), hostile.Call, f)...)
				if kind[len(kind)-1] != ':' {
					code = append(code, hostile.Drop)
				}
				return hostile.Code(code, hostile.Const(1))
			})
		}
	}
	numbers := func(args ...int64) []any {
		var out []any
		for _, a := range args {
			out = append(out, hostile.Const(a))
		}
		return out
	}
	buffer := func(n int64) []any { // one, from 64 on
		return append([]any{hostile.Const(0), hostile.Const(64), hostile.I32Store, 2, 0, hostile.Const(0), hostile.Const(n), hostile.I32Store, 2, 4}, numbers(1, 0, 1, 16)...)
	}
	for name, c := range map[string]struct {
		module func(n int64) []byte
		n      int64
		least  int64 // what n costs more than nothing
	}{
		"bytes that are written":   {call(wasiModule, "fd_write", "iiii:i", buffer), 1 << 20, 1 << 18},
		"buffers that are empty":   {call(wasiModule, "fd_write", "iiii:i", func(n int64) []any { return numbers(1, 4096, n, 16) }), 1000, 1000 * (64 + 2)},
		"subscriptions":            {call(wasiModule, "poll_oneoff", "iiii:i", func(n int64) []any { return numbers(0, 65_536, n, 128_000) }), 1000, 1000 * 20},
		"bytes that are random":    {call(wasiModule, "random_get", "ii:i", func(n int64) []any { return numbers(0, n) }), 1000, 1000},
		"bytes of a line":          {call("sp1", "log", "iii:", func(n int64) []any { return numbers(1, 0, n) }), 1000, 1000},
		"bytes of a line too long": {call("sp1", "log", "iii:", func(n int64) []any { return numbers(1, 0, n) }), 1 << 20, 4096},
	} {
		spent := func(n int64) (fuel int64) {
			g := startGuest(t, load(t, Source{Name: "p", Bytes: c.module(n)}), Filter, Events{Fuel: func(used int64) { fuel = used }})
			b := batch("x")
			if process(t, g, b); fates(b) != "x" {
				t.Fatalf("%s: %s", name, fates(b))
			}
			return fuel
		}
		if more := spent(c.n) - spent(0); more < c.least {
			t.Errorf("%s: %d cost %d units, not %d", name, c.n, more, c.least)
		}
	}
}

// TestARowOfCallsOfTheHostEnds has neither a loop nor the entry of a function between them, nor have the buffers of one call.
func TestARowOfCallsOfTheHostEnds(t *testing.T) {
	const row, fuel = 1000, 20_000
	for name, module := range map[string][]byte{
		"calls": hostile.Plugin(1, func(m *hostile.Module) []byte {
			f := m.Import(wasiModule, "sched_yield", ":i")
			return hostile.Code(hostile.Repeat(row, hostile.Code(hostile.Call, f, hostile.Drop)), hostile.Const(1))
		}),
		"buffers": hostile.Plugin(1, func(m *hostile.Module) []byte {
			f := m.Import(wasiModule, "fd_write", "iiii:i")
			return hostile.Code(hostile.Const(1), hostile.Const(4096), hostile.Const(row), hostile.Const(16), hostile.Call, f, hostile.Drop, hostile.Const(1))
		}),
	} {
		g := startGuest(t, load(t, Source{Name: "p", Bytes: module, Limits: Limits{Fuel: fuel}}), Filter, Events{})
		b := batch("x")
		if process(t, g, b); fates(b) != "!fuel" {
			t.Errorf("%s: %s", name, fates(b))
		}
	}
}
