package redpanda

import (
	"context"
	"log/slog"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/runtime"
)

// TestAnOutputOfMillionsOfHeadersCostsItsRecord has a transform write 16 MiB for each record that begins with x, as eight million
// headers without names, and each other record as it is.
func TestAnOutputOfMillionsOfHeadersCostsItsRecord(t *testing.T) {
	g := startOf(t, millions())
	for range 2 { // the second finds warm memory
		var before, after goruntime.MemStats
		b := batchOf("a", "x", "b")
		goruntime.ReadMemStats(&before)
		got := guesttest.Outcome(t, g, b)
		goruntime.ReadMemStats(&after)
		if lines := strings.Split(got, "\n"); len(lines) != 3 || lines[0] != "a" || lines[2] != "b" || lines[1] != "!output an output of 8000000 headers is over the limit of 64" {
			t.Fatalf("it came to\n%s", got)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 50<<20 {
			t.Errorf("%d MiB were allocated for one record", grown>>20)
		}
	}
}

func startOf(t *testing.T, wasm []byte) *runtime.Guest {
	t.Helper()
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{Dialect{}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	p, err := rt.Load(t.Context(), runtime.Source{Name: "transform", Bytes: wasm})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

// millions reads each record to address 1024 and writes it from there, or, where the value, which is behind three bytes of the payload, begins with x, what begins at 64 KiB: no
// key, no value, and eight million headers, whose names and values are empty, which zeros are.
func millions() []byte {
	const (
		at   = 1 << 16
		size = 6 + 2*8_000_000
	)
	var m hostile.Module
	check := m.Import(module, "check_abi_version_1", ":")
	header := m.Import(module, "read_batch_header", "iiiiiiiiii:i")
	next := m.Import(module, "read_next_record", "iiiii:i")
	write := m.Import(module, "write_record", "ii:i")
	call := func(f int, args ...int64) []byte {
		var code []byte
		for _, a := range args {
			code = append(code, hostile.Const(a)...)
		}
		return hostile.Code(code, hostile.Call, hostile.U(uint64(f)))
	}
	one := hostile.Code(hostile.Const(1027), hostile.Load8U, 0, 0, hostile.Const('x'), hostile.I32Eq, hostile.If, hostile.Empty,
		call(write, at, size), hostile.Drop, hostile.Else,
		hostile.Const(1024), hostile.Get(0), hostile.Call, hostile.U(uint64(write)), hostile.Drop, hostile.End)
	// null, null, and 16,000,000 as a varint, which is eight million in zigzag
	head := hostile.Code(hostile.Const(at), hostile.I64Const, hostile.S(0x07d0c8800101), hostile.I64Store, 0, 0)
	batch := hostile.Code(call(header, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72), hostile.Drop,
		hostile.Loop, hostile.Empty, call(next, 80, 88, 96, 1024, 60_000), hostile.LocalTee, hostile.U(0), hostile.Const(0), 0x4e, // i32.ge_s
		hostile.If, hostile.Empty, one, hostile.Br, 1, hostile.End, hostile.End)
	m.Memory(256, -1)
	m.Export("_start", m.Func(":", 1, hostile.Code(call(check), head, hostile.Loop, hostile.Empty, batch, hostile.Br, 0, hostile.End)))
	return m.Bytes()
}
