package hostile

import (
	"strconv"
	"strings"
)

// Case is a module, and what is to become of it.
type Case struct {
	Name   string
	Module []byte
	Want   string // part of the refusal; "": it loads
}

// Structure are files that are no modules, modules that lie, and modules that are dear to compile.
func Structure() []Case {
	cases := []Case{
		{"empty", nil, "not WebAssembly: the file is empty"},
		{"truncated header", []byte(Header)[:6], "truncated: 6 bytes are less than a header"},
		{"ELF", []byte("\x7fELF" + strings.Repeat("\x00", 60)), "not WebAssembly"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "a component, not a module: build a core module"},
		{"later version", []byte("\x00asm\x02\x00\x00\x00"), "its version is 0x2, not 1"},
		{"section beyond the file", Code([]byte(Header), 11, U(0x7fffffff)), "truncated"},
		{"2^32-1 types", Code([]byte(Header), Section(1, U(1<<32-1))), "types are over the limit"},
		{"2^28-1 functions", Code([]byte(Header), Section(1, Code(1, 0x60, 0, 0)), Section(3, U(1<<28-1))), "functions are over the limit of 100000"},
		{"99,999 types in no bytes", Code([]byte(Header), Section(1, U(9_999))), "truncated"},
		{"2^32-1 elements", Code([]byte(Header), Section(9, U(1<<32-1))), "elements are over the limit"},
		{"2^32-1 data segments", Code([]byte(Header), Section(11, U(1<<32-1))), "data segments are over the limit"},
		{"2 GiB of data", Code([]byte(Header), Section(11, Code(1, 1, U(1<<31-1)))), "truncated"},
		{"endless number", Code([]byte(Header), Section(1, Repeat(10, []byte{0xff}))), "does not end within 32 bits"},
		{"sections out of order", Code([]byte(Header), Section(3, U(0)), Section(1, U(0))), "doubled, or out of order"},
		{"doubled section", Code([]byte(Header), Section(1, U(0)), Section(1, U(0))), "doubled, or out of order"},
		{"unknown section", Code([]byte(Header), Section(99, nil)), "section 99 is unknown"},
		{"bodies without functions", Code([]byte(Header), Section(10, Code(1, 2, 0, End))), "more bodies than functions"},
		{"functions without bodies", Code([]byte(Header), Section(1, Code(1, 0x60, 0, 0)), Section(3, Code(2, 0, 0))), "2 functions are declared, and 0 have bodies"},
		{"custom section of 17 MiB", Code([]byte(Header), Section(0, Code(text("x"), make([]byte, 17<<20)))), "bytes are over the limit of 16777216"},
		{"names that end too early", named(Code(1, 4, 1, 1, 97, 0)), ""},
		{"2^32-1 names of functions", named(Code(1, 5, U(1<<32-1))), ""},
		{"2^32-1 names of locals", named(Code(2, 5, U(1<<32-1))), ""},
		{"2^32-1 names of locals behind the name of a module", named(Code(0, 8, 0, 2, 5, U(1<<32-1))), ""},
		{"2^32-1 names of locals behind those of functions", named(Code(1, 10, 1, 0, 0, 2, 5, U(1<<32-1))), ""},
		{"a name that is no text", named(Code(0, 2, 1, 0xff)), ""},
		{"a name with a number of 64 bits", named(Code(1, 13, 1, U(1<<63), 1, 110)), ""},
		{"two sections of names", Named(Named([]byte(Header), 0, "a"), 0, "b"), "there are two sections of names"},
		{"custom section beyond the file", Code([]byte(Header), 0, U(50<<20)), "truncated"},
	}
	return append(append(append(cases, dear()...), features()...), bounded()...)
}

// dear are cases on both sides of each cap, and in more than one shape.
func dear() []Case {
	many := func(n int) []byte {
		var m Module
		for range n {
			m.functions = append(m.functions, U(0))
			m.codes = append(m.codes, []byte{2, 0, End})
		}
		m.Type(":")
		return m.Bytes()
	}
	locals := func(groups ...uint64) []byte {
		var m Module
		l := U(uint64(len(groups)))
		for _, n := range groups {
			l = append(append(l, U(n)...), I64)
		}
		m.FuncWith(":", l, nil)
		return m.Bytes()
	}
	nested := func(n int, open, end []byte) []byte { return Function(0, Code(Repeat(n, open), Repeat(n, end))) }
	block, loop, when := Code(Block, Empty), Code(Loop, Empty), Code(Const(0), If, Empty)
	targets := func(n int) []byte { return Code(Const(0), BrTable, U(uint64(n)), Repeat(n+1, []byte{0})) }
	// Each if writes one of 50 locals that the next ones read: every join has to merge them.
	joins := func(n int) []byte {
		var c []byte
		for i := range n {
			k := i % 50
			c = append(c, Code(Get(k), If, Empty, Const(1), LocalSet, U(uint64(k*3%50)), End)...)
		}
		return Function(50, c)
	}
	exits := func(n int) []byte {
		return Function(50, Repeat(n, Code(Block, Empty, Get(1), BrIf, 0, Const(1), LocalSet, 2, End)))
	}
	loops := func(n int) []byte { return Function(50, Repeat(n, Code(Loop, Empty, Get(1), BrIf, 0, End))) }
	var alive []byte // each local is written, and then each is read
	for i := range 1_000 {
		alive = append(alive, Code(Const(int64(i)), LocalSet, U(uint64(i)))...)
	}
	alive = append(alive, Const(0)...)
	for i := range 1_000 {
		alive = append(alive, Code(Get(i), I32Add)...)
	}
	alive = append(alive, Drop)
	returns := func(functions, n int) []byte {
		var m Module
		for range functions {
			m.Func(":", 0, Repeat(n, Code(Return)))
		}
		return m.Bytes()
	}
	return []Case{
		{"50 M locals in 38 bytes", locals(50_000_000), "50000000 locals are over the limit of 10000"},
		{"2 x (2^32-1) locals", locals(1<<32-1, 1<<32-1), "locals are over the limit"},
		{"5 x 2^32-1 locals", locals(1<<32-1, 1<<32-1, 1<<32-1, 1<<32-1, 1), "locals are over the limit"},
		{"locals that wrap around", locals(5_000, 1<<32-5_000), "4294967296 locals are over the limit of 10000"},
		{"10,000 locals", locals(10_000), ""},
		{"1,000 locals, all alive", Function(1_000, Code(alive)), ""},
		{"10,001 locals", locals(5_000, 5_001), "10001 locals are over the limit of 10000"},
		{"300,000 functions", many(300_000), "300000 functions are over the limit of 100000"},
		{"1,900 nested blocks", nested(1_900, block, []byte{End}), ""},
		{"2,001 nested blocks", nested(2_001, block, []byte{End}), "2001 nested blocks are over the limit of 2000"},
		{"50,000 nested blocks", nested(50_000, block, []byte{End}), "nested blocks are over the limit"},
		{"5,000 nested loops", nested(5_000, loop, []byte{End}), "nested blocks are over the limit"},
		{"1,000 nested ifs", nested(1_000, when, []byte{End}), ""},
		{"20,000 nested ifs", nested(20_000, when, []byte{End}), "nested blocks are over the limit"},
		{"br_table of 10,000", Function(0, targets(9_999)), ""},
		{"br_table of 10,001", Function(0, targets(10_001)), "targets of a br_table are over the limit of 10000"},
		{"br_table of 200,000", Function(0, targets(200_000)), "targets of a br_table are over the limit"},
		{"20 x br_table of 1,000", Function(0, Repeat(20, Code(Block, Empty, targets(1_000), End))), "targets of br_tables in one function"},
		{"1,000 ifs in a row", joins(1_000), ""},
		{"5,001 ifs in a row", joins(5_001), "5001 ifs, loops and branched-to blocks in one function are over the limit of 5000"},
		{"50,000 ifs in a row", joins(50_000), "ifs, loops and branched-to blocks"},
		{"40,000 blocks with a way out", exits(40_000), "ifs, loops and branched-to blocks"},
		{"50,000 loops in a row", loops(50_000), "ifs, loops and branched-to blocks"},
		{"100,000 straight instructions", Function(0, Repeat(100_000, Code(Const(1), Drop))), ""},
		{"1,000,000 returns", returns(4, 250_000), "1000001 places that metering changes are over the limit of 1000000"},
		{"1,000,000 straight instructions", Function(0, Repeat(1_000_000, Code(Const(1), Drop))), "bytes in one function are over the limit of 524288"},
	}
}

// features are what WebAssembly 2.0 does not have, each by its name.
func features() []Case {
	body := func(code ...any) []byte { return Function(0, Code(code...)) }
	memory := func(limits ...any) []byte {
		return Code([]byte(Header), Section(5, Code(append([]any{1}, limits...)...)))
	}
	return []Case{
		{"tail call", body(0x12, 0), "it uses tail calls, which is not supported"},
		{"tail call through the table", body(0x13, 0, 0), "it uses tail calls"},
		{"try", body(0x06, Empty, End), "it uses exceptions"},
		{"throw", body(0x08, 0), "it uses exceptions"},
		{"try_table", body(0x1f, Empty, 0, End), "it uses exceptions"},
		{"tag section", Code([]byte(Header), Section(13, U(0))), "it uses exceptions"},
		{"atomic", body(0xfe, 3, 0), "it uses threads"},
		{"shared memory", memory(3, 1, 1), "it uses threads"},
		{"memory64", memory(4, 1), "it uses memory64"},
		{"two memories", Code([]byte(Header), Section(5, Code(2, 0, 1, 0, 1))), "memories are over the limit of 1"},
		{"struct", body(0xfb, 0, 0), "the garbage collection proposal"},
		{"struct type", Code([]byte(Header), Section(1, Code(1, 0x5f, 0))), "garbage collection"},
		{"call_ref", body(0x14, 0), "typed function references"},
		{"relaxed SIMD", body(0xfd, U(0x105)), "it uses relaxed SIMD"},
		{"SIMD", body(0xfd, 12, make([]byte, 16), Drop), ""},
		{"SIMD with a longer number", body(0xfd, 0x8c, 0, make([]byte, 16), Drop), "the number 12 of an instruction on vectors is written in 2 bytes"},
		{"no instruction", body(0x27), "instruction 0x27 is unknown"},
		{"no SIMD instruction", body(0xfd, U(0x9a)), "unknown"},
	}
}

// bounded are tables, memories and indices beyond what there may be.
func bounded() []Case {
	table := func(least, most int64) []byte {
		var m Module
		m.Table(least, most)
		return m.Bytes()
	}
	grow := func(most int64) []byte {
		var m Module
		m.Table(1, most)
		m.Func(":", 0, Code(0xd0, FuncRef, Const(1_000_000), 0xfc, 15, 0, Drop))
		return m.Bytes()
	}
	memory := func(least, most int64) []byte {
		var m Module
		m.Memory(least, most)
		return m.Bytes()
	}
	return []Case{
		{"memory at the limit", memory(512, -1), ""},
		{"memory over the limit", memory(513, -1), "513 pages of memory at the start are over the limit of 512"},
		{"memory that may be 4 GiB", memory(1, 65_536), ""},
		{"memory of more than there is", memory(1, 65_537), "65537 pages are more than a memory can have"},
		{"table of 134 M", table(134_000_000, -1), "134000000 table entries are over the limit of 100000"},
		{"table without a maximum that grows", grow(-1), "table.grow on a table without a maximum of at most 100000"},
		{"table of 4 G that grows", grow(1<<32 - 1), "table.grow on a table without a maximum"},
		{"table that grows within the limit", grow(100_000), ""},
		{"global that would be the fuel", Function(0, Code(I64Const, 0, GlobalSet, 0)), "global 0 is not among the 0 there are"},
		{"local that would be ours", Function(1, Code(Const(0), LocalSet, 1)), "local 1 is not among the 1 there are"},
		{"label that would be ours", Function(0, Code(Br, 1)), "label 1 is not among the 1 there are"},
		{"type of a block that would be ours", twoResults(Code(Block, 1, Const(1), Const(1), End)), "type 1 is not among the 1 there are"},
		{"type of a call that would be ours", twoResults(Code(Const(0), CallIndirect, 1, 0)), "type 1 is not among the 1 there are"},
		{"export of the global that would be the fuel", Code([]byte(Header), Section(7, Code(1, text("x"), 3, 0))), `the export "x" names global 0 of 0`},
		{"export of a global", Code([]byte(Header), Section(6, Code(1, I32, 1, Const(0), End)), Section(7, Code(1, text("x"), 3, 0))), ""},
		{"address of the start function", addressOfStart(func(*Module) {}), "function 0 is not declared"},
		{"address of the start function, in an element", addressOfStart(func(m *Module) { m.PassiveElements(0) }), ""},
		{"address of the start function, exported", addressOfStart(func(m *Module) { m.Export("start", 0) }), ""},
		{"export of a reserved name", reserved("__sp_fuel"), "the export __sp_fuel has a name that is reserved"},
		{"export of another", reserved("__sp_start"), "the export __sp_start has a name that is reserved"},
		{"export of the third", reserved("__sp_depth"), "the export __sp_depth has a name that is reserved"},
	}
}

// twoResults is a module with a function for which metering adds a type, as there is none of two results and no parameters.
func twoResults(code []byte) []byte {
	var m Module
	m.Table(1, 1)
	m.Func("i:ii", 0, code)
	return m.Bytes()
}

// addressOfStart is a module that takes the address of its start function, twice.
func addressOfStart(prepare func(m *Module)) []byte {
	var m Module
	m.Start(m.Func(":", 0, nil))
	m.Func(":", 0, Repeat(2, Code(RefFunc, 0, Drop)))
	prepare(&m)
	return m.Bytes()
}

// named is a module of nothing but a section of names.
func named(parts []byte) []byte { return Code([]byte(Header), Section(0, Code(text("name"), parts))) }

func reserved(name string) []byte {
	var m Module
	m.Export(name, m.Func(":", 0, nil))
	return m.Bytes()
}

// Borders are plugins that keep to sp1 but for what they import, or export.
func Borders() []Case {
	const kindTable, kindMemory, kindGlobal = 1, 2, 3
	imported := func(kind int, is ...any) []byte {
		return Plugin(1, func(m *Module) []byte {
			m.imports = append(m.imports, Code(text("env"), text("it"), kind, Code(is...)))
			return Const(1)
		})
	}
	function := func(module, name, kind string) []byte {
		return Plugin(1, func(m *Module) []byte {
			m.Import(module, name, kind)
			return Const(1)
		})
	}
	// exported has sp1's exports but these, and others in their place: a name, a kind and a number each.
	exported := func(without string, others ...any) []byte {
		var m Module
		m.memories = [][]byte{bounds(1, -1)}
		m.Table(1, -1)
		m.Global()
		types := map[string]string{"sp_abi_v1": ":", "sp_alloc": "i:i", "sp_filter": "ii:i"}
		for _, name := range []string{"sp_abi_v1", "sp_alloc", "sp_filter"} {
			f := m.Func(types[name], 0, map[string][]byte{"sp_alloc": Const(1024), "sp_filter": Const(1)}[name])
			if name != without {
				m.Export(name, f)
			}
		}
		if without != "memory" {
			m.exports = append(m.exports, Code(text("memory"), kindMemory, 0))
		}
		for i := 0; i < len(others); i += 2 {
			m.exports = append(m.exports, Code(text(others[i].(string)), others[i+1].(int), 0))
		}
		return m.Bytes()
	}
	const memory = `it must export exactly one memory, as "memory"`
	return []Case{
		{"nothing wrong", exported(""), ""},
		{"a table and a global exported", exported("", "table", kindTable, "global", kindGlobal), ""},
		{"a memory imported", Code([]byte(Header), Section(2, Code(1, text("env"), text("it"), kindMemory, 0, 1))), `it imports the memory "env"."it"; only functions can be imported`},
		{"a table imported", imported(kindTable, FuncRef, 0, 1), `it imports the table "env"."it"; only functions can be imported`},
		{"a global imported", imported(kindGlobal, I32, 0), `it imports the global "env"."it"; only functions can be imported`},
		{"a function of nobody's", function("env", "it", ":"), `the import "env"."it" is unknown; the nearest is `},
		{"names that steer", function(Steering, Steering, ":"), `the import "\x1b[31mred\u202e\n"."\x1b[31mred\u202e\n" is unknown`},
		{"a socket opened", function(wasi, "sock_open", "iii:i"), `"sock_open" is unknown; the nearest is wasi_snapshot_preview1.sock_send`},
		{"a socket connected", function(wasi, "sock_connect", "iii:i"), `"sock_connect" is unknown; the nearest is wasi_snapshot_preview1.sock_accept`},
		{"a socket of a component", function("wasi:sockets/tcp@0.2.0", "[method]tcp-socket.start-connect", "iii:i"), `"wasi:sockets/tcp@0.2.0"."[method]tcp-socket.start-connect" is unknown`},
		{"no memory", exported("memory"), memory},
		{"a memory by another name", exported("memory", "mem", kindMemory), memory},
		{"a memory by two names", exported("", "mem", kindMemory), memory},
		{"a memory twice", exported("", "memory", kindMemory), memory},
		{"a function as the memory", exported("memory", "memory", 0), memory},
		{"no marker", exported("sp_abi_v1"), "the export sp_abi_v1 is missing"},
		{"a global as the marker", exported("sp_abi_v1", "sp_abi_v1", kindGlobal), "the export sp_abi_v1 is missing"},
		{"no allocator", exported("sp_alloc"), "the export sp_alloc is missing"},
		{"a table as the allocator", exported("sp_alloc", "sp_alloc", kindTable), "the export sp_alloc is missing"},
		{"nothing to call", exported("sp_filter"), "it exports none of sp_process, sp_filter and sp_map"},
		{"a memory to call", exported("sp_filter", "sp_filter", kindMemory), memory},
		{"a global to call", exported("sp_filter", "sp_filter", kindGlobal), "it exports none of sp_process, sp_filter and sp_map"},
		{"what is called twice", exported("", "sp_filter", 0), `duplicates name "sp_filter"`},
		{"a function of another type to call", exported("sp_filter", "sp_filter", 0), "the export sp_filter is () -> (), it must be (i32 i32) -> (i32)"},
		{"another type to make room", exported("sp_alloc", "sp_alloc", 0), "the export sp_alloc is () -> (), it must be (i32) -> (i32)"},
	}
}

// Size is a kind of module that has so many of one thing, and how many there may be.
type Size struct {
	Name   string
	Most   int
	Module func(n int) []byte
}

// Sizes are of each thing that a module may have only so many of. Each module is sound.
func Sizes() []Size {
	module := func(sections ...[]byte) []byte {
		out := []byte(Header)
		for _, s := range sections {
			out = append(out, s...)
		}
		return out
	}
	nothing := Section(1, Code(1, 0x60, 0, 0)) // the type of a function without parameters and results
	vector := func(n int, item []byte) []byte { return Code(U(uint64(n)), Repeat(n, item)) }
	one, body := Section(3, Code(1, 0)), Section(10, Code(1, 2, 0, End))
	named := func(n int, item func(i int) []byte) []byte {
		out := U(uint64(n))
		for i := range n {
			out = append(out, item(i)...)
		}
		return out
	}
	return []Size{
		{"bytes", 16 << 20, func(n int) []byte {
			rest := n - len(Header) - 1 - 4 // the section's length takes four bytes, from 2 MiB on
			return module(Section(0, Code(text("x"), make([]byte, rest-2))))
		}},
		{"types", 10_000, func(n int) []byte { return module(Section(1, vector(n, Code(0x60, 0, 0)))) }},
		{"imports", 64, func(n int) []byte { return module(nothing, Section(2, vector(n, Code(text("m"), text("f"), 0, 0)))) }},
		{"functions", 100_000, func(n int) []byte {
			return module(nothing, Section(3, vector(n, Code(0))), Section(10, vector(n, Code(2, 0, End))))
		}},
		{"table entries", 100_000, func(n int) []byte { return module(Section(4, Code(1, FuncRef, bounds(int64(n), -1)))) }},
		{"pages of memory at the start", 512, func(n int) []byte { return module(Section(5, Code(1, bounds(int64(n), -1)))) }},
		{"globals", 10_000, func(n int) []byte { return module(Section(6, vector(n, Code(I32, 0, Const(0), End)))) }},
		{"exports", 1_000, func(n int) []byte {
			return module(nothing, one, Section(7, named(n, func(i int) []byte { return Code(text(string(rune('A'+i/64))+string(rune('A'+i%64))), 0, 0) })), body)
		}},
		{"elements", 1_000_000, func(n int) []byte { return module(nothing, one, Section(9, Code(1, 1, 0, vector(n, Code(0)))), body) }},
		{"data segments", 200_000, func(n int) []byte {
			return module(Section(5, Code(1, bounds(1, -1))), Section(11, vector(n, Code(1, 0))))
		}},
		{"parameters or results", 64, func(n int) []byte {
			return module(Section(1, Code(1, 0x60, vector(n, Code(I32)), vector(n, Code(I64)))))
		}},
		{"bytes in one function", 512 << 10, func(n int) []byte { return Function(0, Code(Repeat(n-4, Code(0x01)))) }},
		{"locals", 10_000, func(n int) []byte { return Function(n, nil) }},
		{"nested blocks", 2_000, func(n int) []byte { return Function(0, Code(Repeat(n, Code(Block, Empty)), Repeat(n, Code(End)))) }},
		{"targets of a br_table", 10_000, func(n int) []byte { return Function(0, Code(Const(0), BrTable, U(uint64(n)), Repeat(n+1, Code(0)))) }},
		{"ifs, loops and branched-to blocks in one function", 5_000, func(n int) []byte { return Function(0, Repeat(n, Code(Const(0), If, Empty, End))) }},
	}
}

// Lies are files of some bytes that announce up to gigabytes: sections longer than the file, and of each vector more items, or of each
// name and body more bytes, than there are.
func Lies() (list []Case) {
	type lie struct {
		name string
		file func(n uint64) []byte
	}
	kinds := []lie{}
	names := []string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}
	for id, name := range names {
		kinds = append(kinds, lie{"a section of " + name + " that is longer", func(n uint64) []byte { return Code([]byte(Header), id, U(n)) }})
		if name != "custom" && name != "start" && name != "data count" {
			kinds = append(kinds, lie{"a section of " + name + " with more", func(n uint64) []byte { return Code([]byte(Header), Section(id, U(n))) }})
		}
	}
	function := Code([]byte(Header), Section(1, Code(1, 0x60, 0, 0)), Section(3, Code(1, 0)))
	body := func(code ...any) []byte {
		b := Code(code...)
		return Code(function, Section(10, Code(1, U(uint64(len(b))), b)))
	}
	kinds = append(kinds,
		lie{"the name of a custom section", func(n uint64) []byte { return Code([]byte(Header), Section(0, U(n))) }},
		lie{"parameters", func(n uint64) []byte { return Code([]byte(Header), Section(1, Code(1, 0x60, U(n)))) }},
		lie{"results", func(n uint64) []byte { return Code([]byte(Header), Section(1, Code(1, 0x60, 0, U(n)))) }},
		lie{"the name of an import", func(n uint64) []byte { return Code([]byte(Header), Section(2, Code(1, U(n)))) }},
		lie{"the name of an export", func(n uint64) []byte { return Code([]byte(Header), Section(7, Code(1, U(n)))) }},
		lie{"a table", func(n uint64) []byte { return Code([]byte(Header), Section(4, Code(1, FuncRef, 0, U(n)))) }},
		lie{"a memory", func(n uint64) []byte { return Code([]byte(Header), Section(5, Code(1, 0, U(n)))) }},
		lie{"elements", func(n uint64) []byte { return Code([]byte(Header), Section(9, Code(1, 1, 0, U(n)))) }},
		lie{"a body", func(n uint64) []byte { return Code(function, Section(10, Code(1, U(n)))) }},
		lie{"groups of locals", func(n uint64) []byte { return body(U(n), End) }},
		lie{"locals", func(n uint64) []byte { return body(1, U(n), I32, End) }},
		lie{"targets", func(n uint64) []byte { return body(0, Const(0), BrTable, U(n), 0, End) }},
		lie{"a data segment", func(n uint64) []byte { return Code([]byte(Header), Section(11, Code(1, 1, U(n)))) }},
	)
	for _, k := range kinds {
		for _, n := range []uint64{1 << 28, 1 << 31, 1<<32 - 1} {
			list = append(list, Case{Name: k.name + ": " + strconv.FormatUint(n, 10), Module: k.file(n)})
		}
	}
	return list
}
