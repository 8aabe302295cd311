// Package hostile makes WebAssembly modules for tests: an assembler of a few lines, and with it modules that a host has
// to survive, each in several shapes, and at its limit, just under and just over.
package hostile

import "encoding/binary"

// The opcodes that are used here.
const (
	Unreachable  = 0x00
	Nop          = 0x01
	Block        = 0x02
	Loop         = 0x03
	If           = 0x04
	Else         = 0x05
	End          = 0x0b
	Br           = 0x0c
	BrIf         = 0x0d
	BrTable      = 0x0e
	Return       = 0x0f
	Call         = 0x10
	CallIndirect = 0x11
	Drop         = 0x1a
	LocalGet     = 0x20
	LocalSet     = 0x21
	LocalTee     = 0x22
	GlobalGet    = 0x23
	GlobalSet    = 0x24
	Load8U       = 0x2d
	I32Load      = 0x28
	I32Store     = 0x36
	I64Store     = 0x37
	MemorySize   = 0x3f
	MemoryGrow   = 0x40
	I32Const     = 0x41
	I64Const     = 0x42
	I32Eqz       = 0x45
	I32Eq        = 0x46
	I32Ne        = 0x47
	I32LtU       = 0x49
	I32Add       = 0x6a
	I32Sub       = 0x6b
	I32Mul       = 0x6c
	I32DivS      = 0x6d
	I32And       = 0x71
	I64Add       = 0x7c
	I64DivU      = 0x80
	RefFunc      = 0xd2
	Empty        = 0x40 // the type of a block without results
	I32          = 0x7f
	I64          = 0x7e
	FuncRef      = 0x70
)

// U writes an unsigned number.
func U(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// S writes a signed number.
func S(n int64) []byte {
	var out []byte
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(out, low)
		}
		out = append(out, low|0x80)
	}
}

// Code joins opcodes (int), numbers written by U and S, and other code.
func Code(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case []byte:
			out = append(out, p...)
		default:
			panic("code is made of opcodes and bytes")
		}
	}
	return out
}

// Repeat joins n copies.
func Repeat(n int, code []byte) []byte {
	out := make([]byte, 0, n*len(code))
	for range n {
		out = append(out, code...)
	}
	return out
}

// Const pushes a number of 32 bits.
func Const(n int64) []byte { return Code(I32Const, S(n)) }

// Get pushes a local.
func Get(n int) []byte { return Code(LocalGet, U(uint64(n))) }

// Module is put together piece by piece, and written by Bytes.
type Module struct {
	types, imports, functions, tables, memories, globals, exports, elements, codes, data [][]byte
	start                                                                                []byte
	imported                                                                             int
}

// Type adds a function type, written "ii:I": parameters, a colon, results.
func (m *Module) Type(s string) int {
	out := []byte{0x60}
	var list []byte
	for _, c := range s + ":" {
		switch c {
		case 'i':
			list = append(list, I32)
		case 'I':
			list = append(list, I64)
		default:
			out = append(append(out, U(uint64(len(list)))...), list...)
			list = nil
		}
	}
	m.types = append(m.types, out)
	return len(m.types) - 1
}

// Import adds an imported function, and returns its number. Imports come before Func.
func (m *Module) Import(module, name, kind string) int {
	m.imports = append(m.imports, Code(text(module), text(name), 0, U(uint64(m.Type(kind)))))
	m.imported++
	return m.imported - 1
}

// Func adds a function with some locals of 32 bits, and returns its number. The code is without its closing end.
func (m *Module) Func(kind string, locals int, code []byte) int {
	return m.FuncWith(kind, Code(1, U(uint64(locals)), I32), code)
}

// FuncWith is Func with locals as the format writes them.
func (m *Module) FuncWith(kind string, locals, code []byte) int {
	m.functions = append(m.functions, U(uint64(m.Type(kind))))
	body := Code(locals, code, End)
	m.codes = append(m.codes, Code(U(uint64(len(body))), body))
	return m.imported + len(m.functions) - 1
}

// Export exports function n.
func (m *Module) Export(name string, n int) {
	m.exports = append(m.exports, Code(text(name), 0, U(uint64(n))))
}

// Memory adds a memory and exports it; most < 0 is no maximum.
func (m *Module) Memory(least, most int64) {
	m.memories = append(m.memories, bounds(least, most))
	m.exports = append(m.exports, Code(text("memory"), 2, 0))
}

// Table adds a table of functions.
func (m *Module) Table(least, most int64) {
	m.tables = append(m.tables, Code(FuncRef, bounds(least, most)))
}

// Elements puts functions into table 0, from its first entry on.
func (m *Module) Elements(functions ...int) {
	out := Code(0, Const(0), End, U(uint64(len(functions))))
	for _, f := range functions {
		out = append(out, U(uint64(f))...)
	}
	m.elements = append(m.elements, out)
}

// PassiveElements are functions that table.init takes, from the last segment of elements.
func (m *Module) PassiveElements(functions ...int) {
	out := Code(1, 0, U(uint64(len(functions))))
	for _, f := range functions {
		out = append(out, U(uint64(f))...)
	}
	m.elements = append(m.elements, out)
}

// PassiveData are bytes that memory.init takes, from the last segment of data.
func (m *Module) PassiveData(b []byte) { m.data = append(m.data, Code(1, U(uint64(len(b))), b)) }

// Global adds a mutable global of 32 bits.
func (m *Module) Global() { m.globals = append(m.globals, Code(I32, 1, Const(0), End)) }

// Start names the start function.
func (m *Module) Start(n int) { m.start = U(uint64(n)) }

func bounds(least, most int64) []byte {
	if most < 0 {
		return Code(0, U(uint64(least)))
	}
	return Code(1, U(uint64(least)), U(uint64(most)))
}

func text(s string) []byte { return append(U(uint64(len(s))), s...) }

// Named adds to a module what names one of its functions.
func Named(module []byte, function int, name string) []byte {
	names := Code(1, U(uint64(function)), text(name))
	return Code(module, Section(0, Code(text("name"), 1, U(uint64(len(names))), names)))
}

// Header begins every module.
const Header = "\x00asm\x01\x00\x00\x00"

// Section writes one section.
func Section(id int, content []byte) []byte { return Code(id, U(uint64(len(content))), content) }

// Bytes writes the module.
func (m *Module) Bytes() []byte {
	out := []byte(Header)
	for _, s := range []struct {
		id    int
		items [][]byte
	}{{1, m.types}, {2, m.imports}, {3, m.functions}, {4, m.tables}, {5, m.memories}, {6, m.globals}, {7, m.exports}, {8, nil}, {9, m.elements}, {12, nil},
		{10, m.codes}, {11, m.data}} {
		if s.id == 8 && m.start != nil {
			out = append(out, Section(8, m.start)...)
		}
		if s.id == 12 && m.data != nil {
			out = append(out, Section(12, U(uint64(len(m.data))))...)
		}
		if len(s.items) > 0 {
			content := U(uint64(len(s.items)))
			for _, i := range s.items {
				content = append(content, i...)
			}
			out = append(out, Section(s.id, content)...)
		}
	}
	return out
}

// Function is a module with one function of no parameters and results.
func Function(locals int, code []byte) []byte {
	var m Module
	m.Export("run", m.Func(":", locals, code))
	return m.Bytes()
}
