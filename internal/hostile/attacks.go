package hostile

import "slices"

// Attack is a plugin that keeps every record but those that begin with x: these it turns against its host.
type Attack struct {
	Name   string
	Module []byte
	Reason string // of the record's dead letter; "": the host gets over it, and the record passes
	Want   string // part of the message
}

// Plugin begins a module that speaks sp1, with what Import and Table add in prepare. attack is code of type () -> i32,
// the answer of sp_filter for a record that begins with x.
func Plugin(pages int64, prepare func(*Module) (attack []byte)) []byte {
	return pluginUpTo(pages, -1, prepare)
}

// pluginUpTo has a memory that says how far it may grow.
func pluginUpTo(pages, most int64, prepare func(*Module) (attack []byte)) []byte {
	var m Module
	attack := prepare(&m)
	m.Memory(pages, most)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(1024)))
	m.Export("sp_filter", m.Func("ii:i", 4, Code(
		Get(0), Load8U, 0, 0, Const('x'), I32Eq, If, I32, attack, Else, Const(1), End)))
	return m.Bytes()
}

// code is an attack that needs nothing beside the function it is in. Locals 2 to 5 are free.
func code(parts ...any) func(*Module) []byte {
	return func(*Module) []byte { return Code(parts...) }
}

const wasi = "wasi_snapshot_preview1"

// Attacks are plugins that never end, take too much, trap, or call the host with what it did not expect.
func Attacks() []Attack {
	return slices.Concat(endless(), greedy(), traps(), calls(), surroundings())
}

func endless() []Attack {
	tree := func(m *Module) []byte { // 2^33 calls, no loop, no cycle
		f := m.Func(":", 0, nil)
		for range 33 {
			f = m.Func(":", 0, Code(Call, U(uint64(f)), Call, U(uint64(f))))
		}
		return Code(Call, U(uint64(f)), Const(1))
	}
	treeAround := func(before ...any) func(*Module) []byte { // the same, around a loop that is there but never run
		return func(m *Module) []byte {
			loop := Code(Loop, Empty, Const(0), BrIf, 0, End)
			f := m.Func(":", 0, nil)
			for range 33 {
				f = m.Func(":", 0, Code(Block, Empty, Code(before...), loop, End, Call, U(uint64(f)), Call, U(uint64(f))))
			}
			return Code(Call, U(uint64(f)), Const(1))
		}
	}
	treeThroughTable := func(m *Module) []byte {
		t, n := m.Type(":"), 34
		var all []int
		all = append(all, m.Func(":", 0, nil))
		for i := 1; i < n; i++ {
			call := Code(Const(int64(i-1)), CallIndirect, U(uint64(t)), 0)
			all = append(all, m.Func(":", 0, Code(call, call)))
		}
		m.Table(int64(n), -1)
		m.Elements(all...)
		return Code(Const(int64(n-1)), CallIndirect, U(uint64(t)), 0, Const(1))
	}
	recursion := func(locals int) func(*Module) []byte {
		return func(m *Module) []byte {
			f := m.imported + len(m.functions)
			m.Func(":", locals, Code(Call, U(uint64(f))))
			return Code(Call, U(uint64(f)), Const(1))
		}
	}
	// Many values wait on the operand stack while the function calls itself.
	wide := func(m *Module) []byte {
		f := m.imported + len(m.functions)
		var push, pop []byte
		for range 2_000 {
			push = append(push, Code(Get(0), Const(3), I32Add)...)
			pop = append(pop, I32Add)
		}
		m.Func("i:i", 0, Code(push, Get(0), Call, U(uint64(f)), pop))
		return Code(Const(1), Call, U(uint64(f)))
	}
	mutual := func(m *Module) []byte { // a and b call each other through the table
		t := m.Type(":")
		a := m.Func(":", 0, Code(Const(1), CallIndirect, U(uint64(t)), 0))
		b := m.Func(":", 0, Code(Const(0), CallIndirect, U(uint64(t)), 0))
		m.Table(2, -1)
		m.Elements(a, b)
		return Code(Call, U(uint64(a)), Const(1))
	}
	// A list of 65,536 places through 30 MiB, in an order that leads to another page each time, and a walk along it.
	walk := code(
		Loop, Empty, Get(2), Const(480), I32Mul, Get(2), Const(5), I32Mul, Const(12_345), I32Add, Const(0xffff), I32And, LocalTee, 2,
		Const(480), I32Mul, I32Store, 2, 0, Get(2), BrIf, 0, End,
		Loop, Empty, Get(2), Repeat(200, Code(I32Load, 2, 0)), LocalSet, 2, Br, 0, End, Const(1))
	const fuel, depth = "limit fuel of 10000000 units", "limit depth of 1000"
	return []Attack{
		{"loop", Plugin(1, code(Loop, Empty, Br, 0, End, Const(1))), "fuel", fuel},
		{"loop in a loop", Plugin(1, code(Loop, Empty, Loop, Empty, Const(1), BrIf, 0, End, Br, 0, End, Const(1))), "fuel", fuel},
		{"loop by br_table", Plugin(1, code(Loop, Empty, Const(7), BrTable, 1, 0, 0, End, Const(1))), "fuel", fuel},
		{"2^33 calls", Plugin(1, tree), "fuel", fuel},
		{"2^33 calls around a dead loop", Plugin(1, treeAround(Br, 0)), "fuel", fuel},
		{"2^33 calls around a loop that an arm leaves out", Plugin(1, treeAround(Const(1), If, Empty, Br, 1, Else, End)), "fuel", fuel},
		{"2^33 calls around a loop that a branch leaves out", Plugin(1, treeAround(Const(1), BrIf, 0)), "fuel", fuel},
		{"2^33 calls through the table", Plugin(1, treeThroughTable), "fuel", fuel},
		{"addresses of a function", Plugin(1, code(Loop, Empty, Repeat(100, Code(RefFunc, 0, Drop)), Br, 0, End, Const(1))), "fuel", fuel},
		{"loads from where the last one led", Plugin(480, walk), "fuel", fuel},
		{"recursion", Plugin(1, recursion(0)), "depth", depth},
		{"recursion with large frames", Plugin(1, recursion(9_000)), "depth", depth},
		{"recursion with a wide stack", Plugin(1, wide), "depth", depth},
		{"mutual recursion through the table", Plugin(1, mutual), "depth", depth},
	}
}

func greedy() []Attack {
	fill := Code(Const(0), Const(7), Const(16<<20), 0xfc, 11, 0)
	duplicate := Code(Const(0), Const(64), Const(16<<20), 0xfc, 10, 0, 0)
	const fuel = "limit fuel of 10000000 units"
	return []Attack{
		{"2,000 memory.fill in a row", Plugin(257, code(Repeat(2_000, fill), Const(1))), "fuel", fuel},
		{"2,000 memory.copy in a row", Plugin(258, code(Repeat(2_000, duplicate), Const(1))), "fuel", fuel},
		{"memory.fill in a loop", Plugin(257, code(Loop, Empty, fill, Br, 0, End, Const(1))), "fuel", fuel},
		{"memory page by page", Plugin(1, code(Loop, Empty, Const(1), MemoryGrow, 0, Const(-1), I32Ne, BrIf, 0, End, Const(1))), "", ""},
		{"memory.grow of 60,000 pages", Plugin(1, code(Const(60_000), MemoryGrow, 0, Const(-1), I32Eq)), "", ""},
		{"memory.grow of 2^32-1 pages", Plugin(1, code(Const(-1), MemoryGrow, 0, Const(-1), I32Eq)), "", ""},
		{"memory that says 4 GiB, to the limit and a page beyond", pluginUpTo(1, 65_536, code(Const(512), MemoryGrow, 0, Const(-1), I32Eq,
			Const(511), MemoryGrow, 0, Drop, Const(1), MemoryGrow, 0, Const(-1), I32Eq, I32And, MemorySize, 0, Const(512), I32Eq, I32And)), "", ""},
		{"table.grow within its maximum", Plugin(1, func(m *Module) []byte {
			m.Table(1, 100_000)
			return Code(0xd0, FuncRef, Const(99_999), 0xfc, 15, 0, Drop, Const(1))
		}), "", ""},
		{"table.grow beyond it", Plugin(1, func(m *Module) []byte {
			m.Table(1, 100_000)
			return Code(0xd0, FuncRef, Const(-1), 0xfc, 15, 0, Const(-1), I32Eq)
		}), "", ""},
		{"table.fill for ever", Plugin(1, func(m *Module) []byte {
			m.Table(100_000, -1)
			return Code(Loop, Empty, Const(0), 0xd0, FuncRef, Const(100_000), 0xfc, 17, 0, Br, 0, End, Const(1))
		}), "fuel", fuel},
	}
}

func traps() []Attack {
	indirect := func(kind string, at int64) func(*Module) []byte {
		return func(m *Module) []byte {
			m.Table(2, -1)
			m.Elements(m.Func("i:", 0, nil))
			return Code(Const(at), CallIndirect, U(uint64(m.Type(kind))), 0, Const(1))
		}
	}
	return []Attack{
		{"unreachable", Plugin(1, code(Unreachable, Const(1))), "trap", "unreachable"},
		{"division by zero", Plugin(1, code(Const(1), Const(0), I32DivS)), "trap", "integer divide by zero"},
		{"load out of bounds", Plugin(1, code(Const(-1), I32Load, 2, 0)), "trap", "out of bounds memory access"},
		{"call of a wrong type", Plugin(1, indirect(":", 0)), "trap", "indirect call type mismatch"},
		{"call of nothing", Plugin(1, indirect(":", 1)), "trap", "invalid table access"},
		{"fill out of bounds", Plugin(1, code(Const(-1), Const(0), Const(16), 0xfc, 11, 0, Const(1))), "trap", "out of bounds memory access"},
		{"unknown answer", Plugin(1, code(Const(7))), "contract", "sp_filter returned 7"},
	}
}

// Deep is a filter in which so many calls lie within a first one as the first byte of its record says.
func Deep() []byte {
	var m Module
	m.Func("i:", 0, Code(Get(0), If, Empty, Get(0), Const(1), I32Sub, Call, U(0), End))
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(1024)))
	m.Export("sp_filter", m.Func("ii:i", 0, Code(Get(0), Load8U, 0, 0, Call, U(0), Const(1))))
	return m.Bytes()
}

// Starts are plugins whose start never ends, or goes too deep.
func Starts() []Attack {
	forever := Code(Loop, Empty, Br, 0, End)
	phase := func(name string) []byte {
		return Plugin(1, func(m *Module) []byte {
			f := m.Func(":", 0, forever)
			if name == "" {
				m.Start(f)
			} else {
				m.Export(name, f)
			}
			return Const(1)
		})
	}
	return []Attack{
		{"start function", phase(""), "", "calling the start function: it spent more than the limit fuel of 500000000 units"},
		{"_initialize", phase("_initialize"), "", "calling _initialize: it spent more than the limit fuel of 500000000 units"},
		{"sp_init", Plugin(1, func(m *Module) []byte {
			m.Export("sp_init", m.Func("ii:i", 0, Code(forever, Const(0))))
			return Const(1)
		}), "", "calling sp_init: it spent more than the limit fuel of 500000000 units"},
		{"exit", Plugin(1, func(m *Module) []byte {
			exit := m.Import(wasi, "proc_exit", "i:")
			m.Export("_start", m.Func(":", 0, Code(Const(0), Call, U(uint64(exit)))))
			return Const(1)
		}), "", "_start called proc_exit: build it as a reactor"},
	}
}

// Steering is a name that would colour a terminal, turn the direction of its text, and begin another line.
const Steering = "\x1b[31mred\u202e\n"

// Stumbles are plugins that trap in one phase of their start, in a function whose name is Steering.
func Stumbles() (list []Attack) {
	for _, phase := range []struct{ name, kind string }{{"the start function", ":"}, {"_initialize", ":"}, {"sp_alloc", "i:i"}, {"sp_init", "ii:i"}, {"sp_needs", ":i"}, {"sp_fields", ":I"}} {
		var m Module
		trap := m.Func(phase.kind, 0, Code(Unreachable))
		m.Memory(1, -1)
		m.Export("sp_abi_v1", m.Func(":", 0, nil))
		if phase.name == "the start function" {
			m.Start(trap)
		} else {
			m.Export(phase.name, trap)
		}
		if phase.name != "sp_alloc" {
			m.Export("sp_alloc", m.Func("i:i", 0, Const(1024)))
		}
		if phase.name != "sp_init" {
			m.Export("sp_init", m.Func("ii:i", 0, Const(0)))
		}
		m.Export("sp_process", m.Func("ii:I", 0, Code(I64Const, 0)))
		list = append(list, Attack{phase.name, Named(m.Bytes(), trap, Steering), "", "unreachable in �[31mred�"})
	}
	return list
}

// StartsOnce is a plugin that starts while it has seen no record, traps at those that begin with x, and refuses to start anew.
// Each of its other functions writes to its memory.
func StartsOnce() []byte {
	return Plugin(1, func(m *Module) []byte {
		clock := m.Import(wasi, "clock_time_get", "iIi:i")
		m.Export("sp_init", m.Func("ii:i", 0, Code(Const(0), I64Const, 0, Const(64), Call, U(uint64(clock)), Drop,
			Const(64), I32Load, 2, 0, Const(1_000), I32Ne)))
		m.Export("sp_close", m.Func(":", 0, Code(Const(0), Const(7), I32Store, 2, 0)))
		return Code(Unreachable, Const(1))
	})
}

// Leaks is a filter with so many pages of memory at its start, which takes for each record as many as its first byte says, never gives
// them back, and traps where there are no more. It counts each record as metric 0, and its end as metric 1. Where it says so, it starts once only.
func Leaks(pages int64, once bool) []byte {
	var m Module
	count := m.Import("sp1", "metric_add", "iI:")
	clock := m.Import(wasi, "clock_time_get", "iIi:i")
	one := func(metric int64) []byte { return Code(Const(metric), I64Const, S(1), Call, U(uint64(count))) }
	m.Memory(pages, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(1024)))
	if once {
		m.Export("sp_init", m.Func("ii:i", 0, Code(Const(0), I64Const, 0, Const(64), Call, U(uint64(clock)), Drop, Const(64), I32Load, 2, 0, Const(1_000), I32Ne)))
	}
	m.Export("sp_close", m.Func(":", 0, one(1)))
	m.Export("sp_filter", m.Func("ii:i", 0, Code(one(0), Get(0), Load8U, 0, 0, MemoryGrow, 0, Const(-1), I32Eq, If, Empty, Unreachable, End, Const(1))))
	return m.Bytes()
}

// Measure is a transform that takes one thing to its limit, by the first byte of the record, and lets the others pass: m answers
// with as many bytes as there were pages of memory, o with 5,000 bytes, d goes deeper than a million calls, f never ends, l logs
// 30 lines, t traps. A function that nobody calls has so many nested blocks.
func Measure(nested int) []byte {
	var m Module
	log := m.Import("sp1", "log", "iii:")
	deep := m.imported
	m.Func("i:", 0, Code(Get(0), If, Empty, Get(0), Const(1), I32Sub, Call, U(uint64(deep)), End))
	const widen = 0xad // i64.extend_i32_u: the answer is so many bytes from address 0 on
	line := Code(Const(2048), Get(2), Const('A'), I32Add, I32Store, 2, 0, Const(1), Const(2048), Const(1), Call, U(uint64(log)))
	answer := Code(I64Const, S(-1))
	for _, c := range []struct {
		letter int64
		code   []byte
	}{
		{'m', Code(Loop, Empty, Const(1), MemoryGrow, 0, Const(-1), I32Ne, BrIf, 0, End, MemorySize, 0, widen)},
		{'o', Code(I64Const, S(5000))},
		{'d', Code(Const(1_000_000), Call, U(uint64(deep)), I64Const, S(-1))},
		{'f', Code(Loop, Empty, Br, 0, End, I64Const, S(-1))},
		{'l', Code(Loop, Empty, line, Get(2), Const(1), I32Add, LocalTee, 2, Const(30), I32LtU, BrIf, 0, End, I64Const, S(-1))},
		{'t', Code(Unreachable, I64Const, S(-1))},
	} {
		answer = Code(Get(0), Load8U, 0, 0, Const(c.letter), I32Eq, If, I64, c.code, Else, answer, End)
	}
	m.Func(":", 0, Code(Repeat(nested, Code(Block, Empty)), Repeat(nested, []byte{End})))
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(8192)))
	m.Export("sp_map", m.Func("ii:I", 1, answer))
	return m.Bytes()
}

// Steers is a plugin with the name of an export that would colour a terminal, and turn the direction of its text.
func Steers() []byte {
	return Plugin(1, func(m *Module) []byte {
		m.Export(Steering, m.Func(":", 0, nil))
		return Const(1)
	})
}

// Speaks is a plugin with these exports besides its memory, each of which does nothing and has the type that it must have.
func Speaks(exports ...string) []byte {
	var m Module
	types := map[string]string{"sp_alloc": "i:i", "sp_filter": "ii:i", "sp_map": "ii:I"}
	results := map[string][]byte{"sp_alloc": Const(1024), "sp_filter": Const(1), "sp_map": Code(I64Const, S(-1))}
	m.Memory(1, -1)
	for _, name := range exports {
		kind := types[name]
		if kind == "" {
			kind = ":"
		}
		m.Export(name, m.Func(kind, 0, results[name]))
	}
	return m.Bytes()
}

// Answers is a plugin that answers every batch with this, after it has taken some pages of memory.
func Answers(arena, grow int64, answer int64) []byte {
	var m Module
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(arena)))
	m.Export("sp_process", m.Func("ii:I", 0, Code(Const(grow), MemoryGrow, 0, Drop, I64Const, S(answer))))
	return m.Bytes()
}

// Names is a transform that answers a batch of one record that begins with x with one output of 64 headers, whose names are all the
// same 3 MiB, and keeps the others.
func Names() []byte {
	return produces(4<<20, func(u32 func(at, v int64) []byte) (code []byte) {
		code = Code(u32(32, 1<<31), u32(40, 1<<31), u32(48, 80), u32(52, 64)) // the key and the value of the input
		for i := range int64(64) {
			code = append(code, Code(u32(80+16*i, 1<<20), u32(84+16*i, 3<<20), u32(92+16*i, -1))...)
		}
		return code
	})
}

// Claims is a transform that answers a batch of one record that begins with x with an output batch of one output, which is the record, that
// says it has so many.
func Claims(outputs int64) []byte {
	return produces(80, func(u32 func(at, v int64) []byte) []byte {
		return Code(u32(8, outputs), u32(32, 1<<31), u32(40, 1<<31), u32(48, 1<<31))
	})
}

// Area is a transform that answers a batch of one record that begins with x with a value of one byte, in an area of 8 MiB.
func Area() []byte {
	return produces(8<<20, func(u32 func(at, v int64) []byte) []byte {
		return Code(u32(32, 1<<31), u32(40, 100), u32(44, 1), u32(48, 1<<31))
	})
}

// produces writes an output batch of so many bytes with one descriptor, from 64 KiB on. What u32 writes counts from its first byte.
func produces(size int64, rest func(u32 func(at, v int64) []byte) []byte) []byte {
	const (
		arena   = 1024
		out     = 1 << 16
		value   = arena + 32 + 8  // where that of record 0 is
		verdict = arena + 32 + 46 // and its answer
	)
	u32 := func(at, v int64) []byte { return Code(Const(out+at), Const(int64(int32(v))), I32Store, 0, 0) } //nolint:gosec // the same bits
	head := Code(u32(0, 0x31425053), u32(4, 48<<16|1), u32(8, 1), u32(12, size), u32(32+28, 1<<31), rest(u32))
	first := Code(Const(arena), Const(value), I32Load, 2, 0, I32Add, Load8U, 0, 0)
	const and, store8 = 0x71, 0x3a
	var m Module
	m.Memory(2+size>>16, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(arena)))
	m.Export("sp_process", m.Func("ii:I", 0, Code(first, Const('x'), I32Eq, Const(arena+8), I32Load, 2, 0, Const(1), I32Eq, and,
		If, I64, head, Const(verdict), Const(3), store8, 0, 0, I64Const, S(out<<32|size), Else, I64Const, S(0), End)))
	return m.Bytes()
}

// Flood is a transform that makes 4 MiB of each record that begins with x, and one byte of the others.
func Flood() []byte {
	var m Module
	m.Memory(65, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, Const(8)))
	m.Export("sp_map", m.Func("ii:I", 0, Code(Get(0), Load8U, 0, 0, Const('x'), I32Eq, If, I64, I64Const, S(4<<20), Else, I64Const, S(8<<32|1), End)))
	return m.Bytes()
}
