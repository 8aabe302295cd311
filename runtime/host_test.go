package runtime

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero/api"
)

// TestHostFunctionsTakeAnyNumbers gives each function of the host pointers, lengths and counts at every edge of the memory and of their
// types, one beside, over and into the other. It answers, or ends the call of the guest; it does not end the process.
func TestHostFunctionsTakeAnyNumbers(t *testing.T) {
	g := startGuest(t, load(t, Source{Name: "lookup", Bytes: wasmOf(t, "lookup"), Lookups: &shelf{values: map[string]string{"": "none", "\x00": "one"}},
		Logger: slog.New(slog.DiscardHandler)}), Transform, Events{})
	process(t, g, batch("ga"))
	m := g.instance.module
	size := uint64(m.Memory().Size())
	edges := []uint64{0, 1, 2, 3, 7, 8, 48, 1024, size - 1024, size - 8, size - 1, size, size + 1, 1<<31 - 1, 1 << 31, 1<<32 - 8, 1<<32 - 1}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, f := range hostFunctions {
		for n := range 2_000 {
			stack := make([]uint64, max(len(f.sig.params), len(f.sig.results)))
			for i := range f.sig.params {
				if stack[i] = edges[rnd.IntN(len(edges))]; n < len(edges) {
					stack[i] = edges[n] // ptr = len
				}
				if f.sig.params[i] == api.ValueTypeI64 && n%2 == 1 {
					stack[i] |= stack[i] << 32
				}
			}
			params := fmt.Sprint(stack)
			g.begin(1)
			g.instance.budget.refuel(defaultFuel)
			func() {
				defer func() {
					r := recover()
					if _, stopped := r.(*stop); r != nil && !stopped {
						t.Fatalf("%s.%s%s panics with %v", f.module, f.name, params, r)
					}
				}()
				f.call(g, m, stack)
			}()
		}
	}
	if now := uint64(m.Memory().Size()); now != size {
		t.Errorf("the memory of %d bytes has %d", size, now)
	}
}

// clocks is a map that answers with what now_ms and WASI's clock say.
func clocks() []byte {
	var m hostile.Module
	now, wall := m.Import("sp1", "now_ms", ":I"), m.Import(wasiModule, "clock_time_get", "iIi:i")
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, hostile.Const(1024)))
	m.Export("sp_map", m.Func("ii:I", 0, hostile.Code(
		hostile.Const(8), hostile.Call, hostile.U(uint64(now)), hostile.I64Store, 3, 0,
		hostile.Const(0), hostile.I64Const, 0, hostile.Const(16), hostile.Call, hostile.U(uint64(wall)), hostile.Drop, hostile.I64Const, hostile.S(8<<32|16))))
	return m.Bytes()
}

// TestTheClockIsThatOfTheBatch unless the plugin has the clock.
func TestTheClockIsThatOfTheBatch(t *testing.T) {
	told := func(s Source) (now, wall []int64) {
		s.Name, s.Bytes = "p", clocks()
		b := batch("a", "b", "c")
		b.Records[1].Timestamp = 1_700_000_000_000
		process(t, startGuest(t, load(t, s), Transform, Events{}), b)
		for i := range b.Records {
			v := b.Records[i].Value
			now, wall = append(now, int64(binary.LittleEndian.Uint64(v))), append(wall, int64(binary.LittleEndian.Uint64(v[8:])))
		}
		return now, wall
	}
	now, wall := told(Source{})
	if fmt.Sprint(now, wall) != "[1700000000000 1700000000000 1700000000000] [1700000000000001000 1700000000000002000 1700000000000003000]" {
		t.Errorf("without the clock it is told %v and %v", now, wall)
	}
	before := time.Now()
	now, wall = told(Source{Capabilities: []string{"clock"}})
	after := time.Now()
	for i := range now {
		if now[i] < before.UnixMilli() || now[i] > after.UnixMilli() || wall[i] < before.UnixNano() || wall[i] > after.UnixNano() {
			t.Errorf("with the clock it is told %d and %d, between %v and %v", now[i], wall[i], before, after)
		}
	}
	if _, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: clocks(), Capabilities: []string{"network"}}); err == nil || !strings.Contains(err.Error(), `"network" is not known; there is clock`) {
		t.Errorf("a capability that there is not: %v", err)
	}
}
