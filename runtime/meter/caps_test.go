package meter

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
)

// capped is a module with n of what a cap bounds, which is refused in a section.
type capped struct {
	section string
	cap     func(c *Caps, n int)
	module  func(n int) []byte
}

// built writes a module in steps.
func built(f func(m *hostile.Module, n int)) func(n int) []byte {
	return func(n int) []byte {
		var m hostile.Module
		f(&m, n)
		return m.Bytes()
	}
}

// times does one step n times.
func times(f func(m *hostile.Module)) func(n int) []byte {
	return built(func(m *hostile.Module, n int) {
		for range n {
			f(m)
		}
	})
}

// coded is a module of one function.
func coded(f func(n int) []byte) func(n int) []byte {
	return func(n int) []byte { return hostile.Function(0, f(n)) }
}

// rows is n pieces of code in a row.
func rows(code []byte) func(n int) []byte {
	return coded(func(n int) []byte { return hostile.Repeat(n, code) })
}

// nest is n pieces of code within each other.
func nest(open ...any) func(n int) []byte {
	return coded(func(n int) []byte {
		return hostile.Code(hostile.Repeat(n, hostile.Code(open...)), hostile.Repeat(n, hostile.Code(hostile.End)))
	})
}

// items is a module of one section.
func items(section int, list func(n int) []byte) func(n int) []byte {
	return func(n int) []byte { return hostile.Code([]byte(hostile.Header), hostile.Section(section, list(n))) }
}

func ofTheModule() map[string]capped {
	elements := func(c *Caps, n int) { c.Elements = n }
	entries := func(c *Caps, n int) { c.TableEntries = uint32(n) }
	pages := func(c *Caps, n int) { c.MemoryPages = uint32(n) }
	params := func(c *Caps, n int) { c.Params = n }
	tables := func(c *Caps, n int) { c.Tables = n }
	imported := hostile.Code(1, []byte("m"), 1, []byte("n"))
	table := hostile.Code(imported, 1, hostile.FuncRef, 0)
	nulls := func(n int) []byte {
		return hostile.Code(5, hostile.FuncRef, n, hostile.Repeat(n, hostile.Code(nullRef, hostile.End)))
	}
	padding := func(n int) []byte { return hostile.Code(1, []byte("x"), make([]byte, n-12)) }
	same := func(m *hostile.Module, n int) []int { // function 0, n times
		m.Func(":", 0, nil)
		return make([]int, n)
	}
	return map[string]capped{
		"bytes":            {"", func(c *Caps, n int) { c.ModuleBytes = n }, items(0, padding)},
		"types":            {"type", func(c *Caps, n int) { c.Types = n }, times(func(m *hostile.Module) { m.Type(":") })},
		"parameters":       {"type", params, built(func(m *hostile.Module, n int) { m.Type(strings.Repeat("i", n) + ":") })},
		"results":          {"type", params, built(func(m *hostile.Module, n int) { m.Type(":" + strings.Repeat("i", n)) })},
		"imports":          {"import", func(c *Caps, n int) { c.Imports = n }, times(func(m *hostile.Module) { m.Import("m", "n", ":") })},
		"functions":        {"function", func(c *Caps, n int) { c.Functions = n }, times(func(m *hostile.Module) { m.Func(":", 0, nil) })},
		"tables":           {"table", tables, times(func(m *hostile.Module) { m.Table(1, 1) })},
		"imported tables":  {"import", tables, items(2, func(n int) []byte { return hostile.Code(n, hostile.Repeat(n, hostile.Code(table, 1))) })},
		"entries":          {"table", entries, built(func(m *hostile.Module, n int) { m.Table(int64(n), -1) })},
		"imported entries": {"import", entries, items(2, func(n int) []byte { return hostile.Code(1, table, n) })},
		"entries that may be": {"code", entries, built(func(m *hostile.Module, n int) {
			m.Table(1, int64(n))
			m.Func(":", 0, hostile.Code(nullRef, hostile.Const(1), tableGrow, hostile.Drop))
		})},
		"pages":          {"memory", pages, built(func(m *hostile.Module, n int) { m.Memory(int64(n), -1) })},
		"imported pages": {"import", pages, items(2, func(n int) []byte { return hostile.Code(1, imported, 2, 0, n) })},
		"globals":        {"global", func(c *Caps, n int) { c.Globals = n }, times(func(m *hostile.Module) { m.Global() })},
		"exports": {"export", func(c *Caps, n int) { c.Exports = n }, built(func(m *hostile.Module, n int) {
			f := m.Func(":", 0, nil)
			for range n {
				m.Export("x", f)
			}
		})},
		"changes": {"code", func(c *Caps, n int) { c.Changes = n }, built(func(m *hostile.Module, n int) {
			m.Func(":", 0, hostile.Repeat(5, hostile.Code(hostile.Return))) // a place each, and one where the function begins
			m.Func(":", 0, hostile.Repeat(n-7, hostile.Code(hostile.Return)))
		})},
		"elements": {"element", elements, built(func(m *hostile.Module, n int) { m.Elements(same(m, n)...) })},
		"elements of two segments": {"element", elements, built(func(m *hostile.Module, n int) {
			m.Elements(same(m, 3)...)
			m.PassiveElements(same(m, n-3)...)
		})},
		"elements of nothing":                 {"element", elements, items(9, func(n int) []byte { return hostile.Code(1, nulls(n)) })},
		"elements of nothing in two segments": {"element", elements, items(9, func(n int) []byte { return hostile.Code(2, nulls(3), nulls(n-3)) })},
		"segments of data":                    {"data", func(c *Caps, n int) { c.DataSegments = n }, times(func(m *hostile.Module) { m.PassiveData(nil) })},
	}
}

func ofAFunction() map[string]capped {
	locals := func(c *Caps, n int) { c.Locals = uint64(n) }
	nesting := func(c *Caps, n int) { c.Nesting = n }
	targets := func(c *Caps, n int) { c.Targets = n }
	joins := func(c *Caps, n int) { c.Joins = n }
	groups := func(params string, groups func(n int) []byte) func(n int) []byte {
		return built(func(m *hostile.Module, n int) { m.FuncWith(params+":", groups(n), nil) })
	}
	table := func(n int) []byte { return block(hostile.Const(0), hostile.BrTable, n, make([]byte, n+1)) }
	leave := hostile.Code(hostile.Const(0), hostile.BrIf, 0)
	return map[string]capped{
		"bytes":                  {"code", func(c *Caps, n int) { c.BodyBytes = n }, coded(func(n int) []byte { return hostile.Repeat(n-4, hostile.Code(hostile.Nop)) })},
		"locals":                 {"code", locals, groups("", func(n int) []byte { return hostile.Code(1, n, hostile.I64) })},
		"locals with parameters": {"code", locals, groups("ii", func(n int) []byte { return hostile.Code(1, n-2, hostile.I64) })},
		"locals in groups":       {"code", locals, groups("", func(n int) []byte { return hostile.Code(3, n-4, hostile.I64, 0, hostile.I32, 4, hostile.I64) })},
		"nested blocks":          {"code", nesting, nest(hostile.Block, hostile.Empty)},
		"nested loops":           {"code", nesting, nest(hostile.Loop, hostile.Empty)},
		"nested ifs":             {"code", nesting, nest(hostile.Const(0), hostile.If, hostile.Empty)},
		"targets":                {"code", targets, coded(table)},
		"targets of two tables":  {"code", targets, coded(func(n int) []byte { return hostile.Code(table(2), table(n-3)) })}, // and one behind the first
		"ifs":                    {"code", joins, rows(when(hostile.Const(0)))},
		"loops":                  {"code", joins, rows(hostile.Code(hostile.Loop, hostile.Empty, hostile.End))},
		"blocks that are left":   {"code", joins, rows(block(leave, leave))},
		"joins of each kind": {"code", joins, coded(func(n int) []byte {
			return hostile.Code(block(leave), unturned, hostile.Repeat(n-2, when(hostile.Const(0))))
		})},
	}
}

// TestEachCapHoldsWhereItSays has modules with as much as a cap allows, with one less, and with one more.
func TestEachCapHoldsWhereItSays(t *testing.T) {
	for of, all := range map[string]map[string]capped{"a module": ofTheModule(), "a function": ofAFunction()} {
		for name, c := range all {
			for _, limit := range []int{20, 40} {
				caps := Default()
				c.cap(&caps, limit)
				for more, fits := range map[int]bool{-1: true, 0: true, 1: false} {
					_, err := Read(c.module(limit+more), caps)
					var e *Error
					switch {
					case fits && err == nil:
					case fits || !errors.As(err, &e):
						t.Errorf("%s of %s: %d of at most %d: error %v", name, of, limit+more, limit, err)
					case !errors.Is(err, ErrCap) || e.Section != c.section:
						t.Errorf("%s of %s: %d of at most %d: error %v, want one over a limit in section %q", name, of, limit+more, limit, err, c.section)
					}
				}
			}
		}
	}
}
