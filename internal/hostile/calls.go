package hostile

// calls are attacks by way of host functions.
func calls() []Attack {
	host := func(module, name, kind string, args ...int64) func(*Module) []byte {
		return func(m *Module) []byte {
			f := m.Import(module, name, kind)
			var c []byte
			for _, a := range args {
				c = append(c, Const(a)...)
			}
			return Code(c, Call, U(uint64(f)), Const(1))
		}
	}
	// One write of 1,000 buffers, each of which is all of the memory. After it comes no loop, where fuel would be missed.
	all := func(m *Module) []byte {
		f := m.Import(wasi, "fd_write", "iiii:i")
		return Code(Const(0), LocalSet, 2, Loop, Empty, Get(2), Const(16<<20), I32Store, 2, 4, Get(2), Const(8), I32Add, LocalTee, 2,
			Const(8_000), I32LtU, BrIf, 0, End, Const(1), Const(0), Const(1_000), Const(16_384), Call, U(uint64(f)), Drop, Const(1))
	}
	// 16 MiB full of one character, written again and again.
	full := func(c int64) func(*Module) []byte {
		return func(m *Module) []byte {
			f := m.Import(wasi, "fd_write", "iiii:i")
			return Code(Const(64), Const(c), Const(16<<20), 0xfc, 11, 0, Const(0), Const(64), I32Store, 2, 0, Const(0), Const(16<<20), I32Store, 2, 4,
				Loop, Empty, Const(2), Const(0), Const(1), Const(16), Call, U(uint64(f)), Drop, Br, 0, End, Const(1))
		}
	}
	const fuel = "limit fuel of 10000000 units"
	return []Attack{
		{"empty lines without end", Plugin(257, full('\n')), "fuel", fuel},
		{"one line without end", Plugin(257, full('a')), "fuel", fuel},
		{"polls without end", Plugin(2, again(-1, wasi, "poll_oneoff", "iiii:i", Code(Const(0), Const(65_536), Const(1_024), Const(128_000)))), "fuel", fuel},
		{"write of 16 GB", Plugin(257, all), "fuel", fuel},
		{"log of a range beyond memory", Plugin(1, host("sp1", "log", "iii:", 1, -1, -1)), "", ""},
		{"error of a range that wraps", Plugin(1, host("sp1", "error", "iii:", -1, 65_000, -1)), "", ""},
		{"error for a record that is none", Plugin(1, host("sp1", "error", "iii:", 1_000_000, 0, 1)), "", ""},
		{"log of nothing", Plugin(1, host("sp1", "log", "iii:", 1, 0, 0)), "", ""},
		{"metric that is none", Plugin(1, func(m *Module) []byte {
			f := m.Import("sp1", "metric_add", "iI:")
			return Code(Const(-1), I64Const, S(5), Call, U(uint64(f)), Const(1))
		}), "", ""},
		{"1 M host calls", Plugin(1, again(1_000_000, "sp1", "log", "iii:", Code(Const(1), Const(0), Const(0)))), "limit", "more than 256 host calls per record"},
		{"1 M questions for the time", Plugin(1, again(1_000_000, "sp1", "now_ms", ":I", nil)), "limit", "more than 256 host calls per record"},
		{"1 GB of log", Plugin(257, again(100, "sp1", "log", "iii:", Code(Const(1), Const(0), Const(10<<20)))), "", ""},
		{"16 MiB of random bytes", Plugin(257, again(10_000, wasi, "random_get", "ii:i", Code(Const(0), Const(16<<20)))), "limit", "more than 1048576 random bytes"},
		{"exit in the middle", Plugin(1, host(wasi, "proc_exit", "i:", 0)), "trap", "the plugin called proc_exit"},
		{"abort", Plugin(1, host("env", "abort", "iiii:", -1, -1, 1, 1)), "trap", "abort"},
	}
}

// errno calls a WASI function and passes if it answers with what is expected.
func errno(name, kind string, want int64, args ...any) func(*Module) []byte {
	return func(m *Module) []byte {
		f := m.Import(wasi, name, kind)
		return Code(Code(args...), Call, U(uint64(f)), Const(want), I32Eq)
	}
}

// surroundings are questions for files, sockets, time and chance, which are answered, and reach nothing.
func surroundings() []Attack {
	// open asks for a file, as some descriptor's, and wants to be denied it.
	open := func(path string, from int64) func(*Module) []byte {
		var c []byte
		for i, b := range []byte(path) {
			c = append(c, Code(Const(int64(32+i)), Const(int64(b)), I32Store, 0, 0)...)
		}
		return errno("path_open", "iiiiiIIii:i", 63, c, Const(from), Const(0), Const(32), Const(int64(len(path))), Const(0), I64Const, S(-1), I64Const, S(-1), Const(0), Const(16))
	}
	return []Attack{
		{"write to file 0", Plugin(1, errno("fd_write", "iiii:i", 8, Const(0), Const(0), Const(1), Const(16))), "", ""},
		{"write to file 3", Plugin(1, errno("fd_write", "iiii:i", 8, Const(3), Const(0), Const(1), Const(16))), "", ""},
		{"write to file 4", Plugin(1, errno("fd_write", "iiii:i", 8, Const(4), Const(0), Const(1), Const(16))), "", ""},
		{"write to file 2^32-1", Plugin(1, errno("fd_write", "iiii:i", 8, Const(-1), Const(0), Const(1), Const(16))), "", ""},
		{"write of 2^32-1 buffers", Plugin(1, errno("fd_write", "iiii:i", 21, Const(1), Const(0), Const(-1), Const(16))), "", ""},
		{"read from a file", Plugin(1, errno("fd_pread", "iiiIi:i", 8, Const(3), Const(0), Const(1), I64Const, 0, Const(16))), "", ""},
		{"open of ../../etc/passwd", Plugin(1, open("../../etc/passwd", 3)), "", ""},
		{"open of ../../etc/passwd from where there is nothing", Plugin(1, open("../../etc/passwd", -1)), "", ""},
		{"open of /etc/passwd", Plugin(1, open("/etc/passwd", 0)), "", ""},
		{"open of a path beyond memory", Plugin(1, errno("path_open", "iiiiiIIii:i", 63, Const(3), Const(0), Const(-1), Const(-1), Const(0), I64Const, 0, I64Const, 0, Const(0), Const(-1))), "", ""},
		{"socket", Plugin(1, errno("sock_accept", "iii:i", 52, Const(3), Const(0), Const(16))), "", ""},
		{"environment", Plugin(1, errno("environ_sizes_get", "ii:i", 0, Const(16), Const(20))), "", ""},
		{"sleep of 5 s", Plugin(1, errno("poll_oneoff", "iiii:i", 0, Const(16), Const(1), I32Store, 2, 0, Const(24), I64Const, S(5_000_000_000), I64Store, 3, 0,
			Const(0), Const(100), Const(1), Const(200))), "", ""},
		{"poll that writes over what it reads", Plugin(1, errno("poll_oneoff", "iiii:i", 0, Const(16), Const(16), Const(9), Const(16))), "", ""},
		{"random bytes over the record", Plugin(1, errno("random_get", "ii:i", 0, Const(1000), Const(100))), "", ""},
		{"random bytes beyond memory", Plugin(1, errno("random_get", "ii:i", 21, Const(-1), Const(-1))), "", ""},
		{"random bytes from the last on", Plugin(1, errno("random_get", "ii:i", 21, Const(1<<16-1), Const(2))), "", ""},
		{"no random bytes", Plugin(1, errno("random_get", "ii:i", 0, Const(1<<16), Const(0))), "", ""},
		{"read over what says where to", Plugin(1, errno("fd_read", "iiii:i", 0, Const(0), Const(16), Const(1), Const(16))), "", ""},
		{"poll of 2^32-1 subscriptions", Plugin(1, errno("poll_oneoff", "iiii:i", 21, Const(0), Const(0), Const(-1), Const(0))), "", ""},
	}
}

// again calls a function of the host so many times.
func again(times int64, module, name, kind string, args []byte) func(*Module) []byte {
	return func(m *Module) []byte {
		f := m.Import(module, name, kind)
		c := Code(args, Call, U(uint64(f)))
		if kind[len(kind)-1] != ':' {
			c = append(c, Drop)
		}
		return Code(Const(times), LocalSet, 2, Loop, Empty, c, Get(2), Const(1), I32Sub, LocalTee, 2, BrIf, 0, End, Const(1))
	}
}

// Calls is a filter with 2 MiB of memory that calls a function of the host so many times for a record that begins with x.
func Calls(times int64, module, name, kind string, args ...int64) []byte {
	var c []byte
	for _, a := range args {
		c = append(c, Const(a)...)
	}
	return Plugin(32, again(times, module, name, kind, c))
}
