package hostile

// Dear are attacks that spend their fuel on what takes the processor long for its price: they say what a unit may cost.
func Dear() []Attack {
	// Each turn does the same some hundred times, so that the loop itself is little of it.
	forever := func(pages int64, before []byte, turn ...any) []byte {
		return Plugin(pages, code(before, Loop, Empty, Repeat(100, Code(turn...)), Br, 0, End, Const(1)))
	}
	bulk := func(op int, zeros int, args ...int64) []byte {
		var c []byte
		for _, a := range args {
			c = append(c, Const(a)...)
		}
		return Code(c, 0xfc, op, Repeat(zeros, Code(0)))
	}
	one := Code(0x43, 0, 0, 0x80, 0x3f)
	float := func(x int64) []byte { return Code(I64Const, S(x), 0xbf) } // f64.reinterpret_i64
	dear := func(name string, module []byte) Attack {
		return Attack{Name: name, Module: module, Reason: "fuel", Want: "limit fuel of 10000000 units"}
	}
	// next is the address of another page, for each of a long row of different ones.
	next := Code(Get(2), Const(1664525), 0x6c, Const(1013904223), I32Add, LocalTee, 2, Const(4), 0x76, Const(480<<16-4096), 0x71)
	return []Attack{
		dear("turns of a loop", Plugin(1, code(Loop, Empty, Br, 0, End, Const(1)))),
		dear("additions", forever(1, nil, Get(2), Const(3), I32Add, LocalSet, 2)),
		dear("multiplications in a chain", forever(1, nil, Get(2), Get(2), 0x6c, LocalSet, 2)),
		dear("divisions in a chain", forever(1, nil, I64Const, S(-1), Get(2), 0xad, I64Const, 3, 0x84, I64DivU, 0xa7, LocalSet, 2)),
		dear("square roots in a chain", forever(1, nil, Get(2), 0xb8, Code(0x9f), Code(0x9f), Code(0x9f), Code(0x9f), 0xab, LocalSet, 2)),
		dear("products below the smallest normal number", forever(1, Code(Const(0xfff), LocalSet, 2), Get(2), 0xbe, Repeat(8, Code(one, 0x94)), 0xbc, LocalSet, 2)),
		dear("roundings and conversions", forever(1, nil, Get(2), 0xb8, 0x9b, 0x9e, 0x9d, 0xfc, 3, LocalSet, 2)),
		dear("least and greatest in a chain", forever(1, nil, Get(2), 0xb8, float(0), 0xa4, float(1), 0xa5, float(0), 0xa4, 0xfc, 3, LocalSet, 2)),
		dear("loads of a byte far away", forever(480, nil, next, Load8U, 0, 0, Drop)),
		dear("stores far away", forever(480, nil, next, Const(1), I32Store, 2, 0)),
		dear("stores across two pages", forever(512, nil, next, Const(4094), 0x72, Const(1), I32Store, 2, 0)),
		dear("wide loads of what was just written in parts", forever(1, nil, Const(0), Get(2), I32Store, 2, 0, Const(0), 0x29, 3, 0, 0xa7, LocalSet, 2)),
		dear("copies of nothing", forever(1, nil, bulk(10, 2, 0, 0, 0))),
		dear("copies of 300 bytes", forever(1, nil, bulk(10, 2, 1, 5000, 300))),
		dear("copies of 2,049 bytes onto themselves", forever(1, nil, bulk(10, 2, 16, 24, 2049))),
		dear("copies of 64 KiB", forever(17, nil, bulk(10, 2, 1, 100, 64<<10))),
		dear("copies of 1 MiB", forever(258, nil, bulk(10, 2, 1, 2, 1<<20))),
		dear("copies of 15 MiB", forever(512, nil, bulk(10, 2, 0, 16<<20, 15<<20))),
		dear("copies of 15 MiB onto themselves", forever(512, nil, bulk(10, 2, 1, 64, 15<<20))),
		dear("copies of 15 MiB onto themselves, from the end", forever(512, nil, bulk(10, 2, 1, 0, 15<<20))),
		dear("fills with nothing", forever(1, nil, bulk(11, 1, 0, 0, 0))),
		dear("fills of a byte", forever(1, nil, bulk(11, 1, 0, 0, 1))),
		dear("fills of 17 bytes", forever(1, nil, bulk(11, 1, 0, 0, 17))),
		dear("fills of 257 bytes", forever(1, nil, bulk(11, 1, 0, 0, 257))),
		dear("fills of 15 MiB", forever(512, nil, bulk(11, 1, 1, 7, 15<<20))),
		dear("growth by nothing", forever(1, nil, Const(0), MemoryGrow, 0, Drop)),
		dear("growth beyond the limit", forever(1, nil, Const(-1), MemoryGrow, 0, Drop)),
		dear("fills of a table", Plugin(1, func(m *Module) []byte {
			m.Table(100_000, -1)
			return Code(Loop, Empty, Const(0), 0xd0, FuncRef, Const(100_000), 0xfc, 17, 0, Br, 0, End, Const(1))
		})),
		dear("fills of a table with one", Plugin(1, func(m *Module) []byte {
			m.Table(100_000, -1)
			return Code(Loop, Empty, Repeat(100, Code(Const(0), 0xd0, FuncRef, Const(1), 0xfc, 17, 0)), Br, 0, End, Const(1))
		})),
		dear("growth of a table by nothing", Plugin(1, func(m *Module) []byte {
			m.Table(1, 100_000)
			return Code(Loop, Empty, Repeat(100, Code(0xd0, FuncRef, Const(0), 0xfc, 15, 0, Drop)), Br, 0, End, Const(1))
		})),
		dear("calls that cannot be foreseen", Plugin(1, func(m *Module) []byte {
			t := m.Type(":")
			var all []int
			for range 64 {
				all = append(all, m.Func(":", 0, nil))
			}
			m.Table(64, 64)
			m.Elements(all...)
			random := Code(Get(2), Const(1664525), 0x6c, Const(1013904223), I32Add, LocalTee, 2, Const(26), 0x76)
			return Code(Loop, Empty, Repeat(100, Code(random, CallIndirect, U(uint64(t)), 0)), Br, 0, End, Const(1))
		})),
		dear("branches that cannot be foreseen", forever(1, nil, Get(2), Const(1664525), 0x6c, Const(1013904223), I32Add, LocalTee, 2, Const(31), 0x76,
			If, Empty, Get(3), Const(77), I32Add, Const(3), 0x73, LocalSet, 3, End)),
		dear("products of vectors", forever(1, nil, Get(2), 0xfd, 17, Get(2), 0xfd, 17, 0xfd, U(213), Get(2), 0xfd, 17, 0xfd, U(213), 0xfd, 29, 0, 0xa7, LocalSet, 2)),
		dear("shuffles of vectors", forever(1, nil, Get(2), 0xfd, 17, Get(2), 0xfd, 17, 0xfd, 13, Repeat(16, Code(5)), 0xfd, 27, 0, LocalSet, 2)),
		dear("bits of vectors", forever(1, nil, Get(2), 0xfd, 17, 0xfd, 98, 0xfd, 98, 0xfd, 98, 0xfd, 98, 0xfd, 27, 0, LocalSet, 2)),
		dear("roots of vectors", forever(1, nil, Get(2), 0xfd, 17, 0xfd, U(239), 0xfd, U(239), 0xfd, U(239), 0xfd, U(239), 0xfd, 27, 0, LocalSet, 2)),
	}
}
