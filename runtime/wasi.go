package runtime

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const wasiModule = "wasi_snapshot_preview1"

// The WASI error numbers that we answer.
const (
	wasiOK      = 0
	wasiBadFile = 8
	wasiFault   = 21
	wasiNoSys   = 52
	wasiDenied  = 63
)

// wasiFunctions is an inert WASI preview 1: language runtimes start and print, and reach nothing. There is no file, no
// environment and no socket; output goes to the log; the clock stands at the batch's greatest timestamp; random bytes
// are the same in each run; sleep returns at once; leaving is a trap.
var wasiFunctions = append([]hostFunction{
	wasi("args_sizes_get", "ii:i", wasiSizes((*Guest).arguments)),
	wasi("environ_sizes_get", "ii:i", wasiSizes((*Guest).variables)),
	wasi("args_get", "ii:i", wasiStrings((*Guest).arguments)),
	wasi("environ_get", "ii:i", wasiStrings((*Guest).variables)),
	wasi("clock_res_get", "ii:i", wasiClockRes),
	wasi("clock_time_get", "iIi:i", wasiClock),
	wasi("fd_write", "iiii:i", wasiWrite),
	wasi("fd_read", "iiii:i", wasiRead),
	wasi("fd_fdstat_get", "ii:i", wasiStream(24, 0)),
	wasi("fd_filestat_get", "ii:i", wasiStream(64, 16)),
	wasi("random_get", "ii:i", wasiRandom),
	wasi("poll_oneoff", "iiii:i", wasiPoll),
	wasi("sched_yield", ":i", answer(wasiOK)),
	{wasiModule, "proc_exit", sig("i:"), wasiExit},
}, deniedFunctions()...)

func deniedFunctions() []hostFunction {
	out := []hostFunction{}
	for code, list := range map[uint64]map[string]string{
		wasiBadFile: {
			"fd_advise": "iIIi:i", "fd_allocate": "iII:i", "fd_close": "i:i", "fd_datasync": "i:i",
			"fd_fdstat_set_flags": "ii:i", "fd_fdstat_set_rights": "iII:i",
			"fd_filestat_set_size": "iI:i", "fd_filestat_set_times": "iIIi:i", "fd_pread": "iiiIi:i",
			"fd_prestat_get": "ii:i", "fd_prestat_dir_name": "iii:i", "fd_pwrite": "iiiIi:i", "fd_readdir": "iiiIi:i",
			"fd_renumber": "ii:i", "fd_seek": "iIii:i", "fd_sync": "i:i", "fd_tell": "ii:i",
		},
		wasiDenied: {
			"path_create_directory": "iii:i", "path_filestat_get": "iiiii:i", "path_filestat_set_times": "iiiiIIi:i",
			"path_link": "iiiiiii:i", "path_open": "iiiiiIIii:i", "path_readlink": "iiiiii:i",
			"path_remove_directory": "iii:i", "path_rename": "iiiiii:i", "path_symlink": "iiiii:i", "path_unlink_file": "iii:i",
		},
		wasiNoSys: {
			"proc_raise": "i:i", "sock_accept": "iii:i", "sock_recv": "iiiiii:i", "sock_send": "iiiii:i", "sock_shutdown": "ii:i",
		},
	} {
		for name, s := range list {
			out = append(out, wasi(name, s, answer(code)))
		}
	}
	return out
}

// wasi wraps a function that returns an error number in stack[0] after its own bookkeeping.
func wasi(name, s string, f func(*Guest, api.Module, []uint64) uint64) hostFunction {
	return hostFunction{wasiModule, name, sig(s), func(g *Guest, m api.Module, stack []uint64) {
		most := wasiCallsFloor + hostCallsPerRecord*g.calling
		if g.wasiCalls++; g.wasiCalls > most {
			panic(&stop{stream.ReasonLimit, fmt.Sprintf("more than %d WASI calls in one call", most)})
		}
		g.enter()
		stack[0] = f(g, m, stack)
	}}
}

func answer(code uint64) func(*Guest, api.Module, []uint64) uint64 {
	return func(*Guest, api.Module, []uint64) uint64 { return code }
}

// wasiSizes answers with the number of strings and their bytes, each with its closing zero.
func wasiSizes(list func(*Guest) []string) func(*Guest, api.Module, []uint64) uint64 {
	return func(g *Guest, m api.Module, stack []uint64) uint64 {
		n, bytes := 0, 0
		for _, s := range list(g) {
			n, bytes = n+1, bytes+len(s)+1
		}
		return stored(m.Memory().WriteUint32Le(u32(stack[0]), uint32(n)) && m.Memory().WriteUint32Le(u32(stack[1]), uint32(bytes)))
	}
}

// wasiStrings stores the strings one after the other, and their addresses.
func wasiStrings(list func(*Guest) []string) func(*Guest, api.Module, []uint64) uint64 {
	return func(g *Guest, m api.Module, stack []uint64) uint64 {
		ptrs, at := u32(stack[0]), u32(stack[1])
		for i, s := range list(g) {
			if !m.Memory().WriteUint32Le(ptrs+uint32(4*i), at) || !m.Memory().WriteString(at, s+"\x00") {
				return wasiFault
			}
			at += uint32(len(s) + 1)
		}
		return wasiOK
	}
}

func wasiExit(g *Guest, _ api.Module, stack []uint64) {
	if e, ok := g.session.(Exit); ok {
		e.Exited(u32(stack[0]))
	}
	panic(errExit)
}

func wasiClockRes(_ *Guest, m api.Module, stack []uint64) uint64 {
	return stored(m.Memory().WriteUint64Le(u32(stack[1]), 1e6))
}

// wasiClock counts a microsecond for each question, since runtimes wait for time to pass.
func wasiClock(g *Guest, m api.Module, stack []uint64) uint64 {
	if c, ok := g.session.(Clock); ok {
		return stored(m.Memory().WriteUint64Le(u32(stack[2]), c.Now(u32(stack[0]) == 1)))
	}
	if g.plugin.clock {
		return stored(m.Memory().WriteUint64Le(u32(stack[2]), uint64(time.Now().UnixNano())))
	}
	g.clock++
	return stored(m.Memory().WriteUint64Le(u32(stack[2]), uint64(g.now)*1e6+g.clock*1e3))
}

func stored(ok bool) uint64 {
	if !ok {
		return wasiFault
	}
	return wasiOK
}

// eachBuffer visits the buffers of a scattered read or write, until visit says that it is enough.
func (g *Guest) eachBuffer(m api.Module, stack []uint64, visit func(b []byte) bool) bool {
	n := int64(u32(stack[2]))
	if n > 1024 {
		return false
	}
	vecs, ok := m.Memory().Read(u32(stack[1]), uint32(n*8))
	if !ok {
		return false
	}
	g.charge(len(vecs), costBytesShift)
	for ; len(vecs) > 0; vecs = vecs[8:] {
		b, ok := m.Memory().Read(binary.LittleEndian.Uint32(vecs), binary.LittleEndian.Uint32(vecs[4:]))
		if !ok {
			return false
		}
		if !visit(b) {
			break
		}
	}
	return true
}

func wasiWrite(g *Guest, m api.Module, stack []uint64) uint64 {
	fd := u32(stack[0])
	if fd != 1 && fd != 2 {
		return wasiBadFile
	}
	written := uint32(0)
	if !g.eachBuffer(m, stack, func(b []byte) bool {
		g.charge(len(b), costBytesShift)
		g.afford()
		written += uint32(len(b))
		g.written(fd, b)
		return true
	}) {
		return wasiFault
	}
	return stored(m.Memory().WriteUint32Le(u32(stack[3]), written))
}

// wasiRead is the end of input, unless the session has some.
func wasiRead(g *Guest, m api.Module, stack []uint64) uint64 {
	read := uint32(0)
	if s, ok := g.session.(Stdio); ok && u32(stack[0]) == 0 {
		if !g.eachBuffer(m, stack, func(b []byte) bool {
			if len(b) == 0 {
				return true
			}
			read = uint32(s.Read(b))
			return false
		}) {
			return wasiFault
		}
	}
	return stored(m.Memory().WriteUint32Le(u32(stack[3]), read))
}

// wasiStream says of the three standard streams what they are, in a structure of so many bytes that has the kind of file
// at a place of its own: character devices.
func wasiStream(size, kind uint32) func(*Guest, api.Module, []uint64) uint64 {
	return func(_ *Guest, m api.Module, stack []uint64) uint64 {
		if u32(stack[0]) > 2 {
			return wasiBadFile
		}
		b, ok := m.Memory().Read(u32(stack[1]), size)
		if !ok {
			return wasiFault
		}
		clear(b)
		b[kind] = 2
		return wasiOK
	}
}

func wasiRandom(g *Guest, m api.Module, stack []uint64) uint64 {
	b, ok := read(m, stack[0], stack[1])
	if !ok {
		return wasiFault
	}
	if g.random += len(b); g.random > randomPerCall {
		panic(&stop{stream.ReasonLimit, fmt.Sprintf("more than %d random bytes in one call", randomPerCall)})
	}
	g.charge(len(b), costRandomShift)
	for i := range b { // splitmix64, one step for each byte: plenty for hash seeds, and the same in each run
		g.seed += 0x9E3779B97F4A7C15
		z := (g.seed ^ g.seed>>30) * 0xBF58476D1CE4E5B9
		b[i] = byte(z >> 56)
	}
	return wasiOK
}

// wasiPoll answers that every subscription has happened.
func wasiPoll(g *Guest, m api.Module, stack []uint64) uint64 {
	n := int64(u32(stack[2]))
	if n > 1024 {
		return wasiFault
	}
	in, ok1 := m.Memory().Read(u32(stack[0]), uint32(n*48))
	out, ok2 := m.Memory().Read(u32(stack[1]), uint32(n*32))
	if !ok1 || !ok2 {
		return wasiFault
	}
	g.charge(len(in)+len(out), costBytesShift)
	for i := range int(n) {
		sub, event := in[i*48:][:48], out[i*32:][:32]
		user, kind := binary.LittleEndian.Uint64(sub), sub[8]
		clear(event)
		binary.LittleEndian.PutUint64(event, user)
		event[10] = kind
	}
	return stored(m.Memory().WriteUint32Le(u32(stack[3]), uint32(n)))
}
