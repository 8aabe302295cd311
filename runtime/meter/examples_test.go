package meter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// bare is an example plugin with no more of a host than it needs, plain or metered.
type bare struct {
	module      api.Module
	alloc, call api.Function
	batched     bool
}

func newBareEngine(t testing.TB) wazero.Runtime {
	t.Helper()
	e := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { e.Close(context.Background()) })
	wasi_snapshot_preview1.MustInstantiate(t.Context(), e)
	nothing := api.GoModuleFunc(func(context.Context, api.Module, []uint64) {})
	types := map[int][]api.ValueType{3: {i32, i32, i32}, 4: {i32, i32, i32, i32}}
	sp1 := e.NewHostModuleBuilder("sp1")
	for _, name := range []string{"log", "error"} {
		sp1.NewFunctionBuilder().WithGoModuleFunction(nothing, types[3], nil).Export(name)
	}
	sp1.NewFunctionBuilder().WithGoModuleFunction(nothing, nil, []api.ValueType{i64}).Export("now_ms")
	sp1.NewFunctionBuilder().WithGoModuleFunction(nothing, []api.ValueType{i32, i64}, nil).Export("metric_add")
	env := e.NewHostModuleBuilder("env")
	env.NewFunctionBuilder().WithGoModuleFunction(nothing, types[4], nil).Export("abort")
	for _, b := range []wazero.HostModuleBuilder{sp1, env} {
		if _, err := b.Instantiate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func startBare(t testing.TB, e wazero.Runtime, wasm []byte) *bare {
	t.Helper()
	m, err := e.InstantiateWithConfig(t.Context(), wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	b := &bare{module: m, alloc: m.ExportedFunction("sp_alloc"), call: m.ExportedFunction("sp_process")}
	b.batched = b.call != nil
	for _, name := range []string{"sp_filter", "sp_map"} {
		if b.call == nil {
			b.call = m.ExportedFunction(name)
		}
	}
	b.refill()
	for _, name := range []string{StartExport, "_initialize", "_start"} { // an example has one of the latter two at most
		if f := m.ExportedFunction(name); f != nil {
			if _, err := f.Call(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

const plenty = 1 << 50

func (b *bare) refill() {
	if g, ok := b.module.ExportedGlobal(FuelExport).(api.MutableGlobal); ok {
		g.Set(plenty)
		b.module.ExportedGlobal(DepthExport).(api.MutableGlobal).Set(10_000)
	}
}

// spent is the fuel since the refill, of a metered module.
func (b *bare) spent() uint64 { return plenty - b.module.ExportedGlobal(FuelExport).Get() }

func (b *bare) arena(t testing.TB, n int) (view []byte, ptr uint64) {
	r, err := b.alloc.Call(t.Context(), uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	view, ok := b.module.Memory().Read(uint32(r[0]), uint32(n))
	if !ok {
		t.Fatal("the arena is beyond the memory")
	}
	return view, r[0]
}

// run hands over the values, and writes what came of them if keep is set.
func (b *bare) run(t testing.TB, values [][]byte, keep bool) string {
	if !b.batched {
		return b.runEach(t, values, keep)
	}
	total := int64(0)
	for _, v := range values {
		total += int64(len(v))
	}
	view, ptr := b.arena(t, int(abi.InputLen(len(values), total, 0)))
	w := abi.NewWriter(view, len(values), abi.AllColumns)
	for i, v := range values {
		w.Add(&abi.Row{Value: v, Timestamp: int64(i)})
	}
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.call.Call(t.Context(), ptr, uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	if !keep {
		return ""
	}
	head, _ := b.module.Memory().Read(uint32(ptr), uint32(abi.HeaderSize+len(values)*abi.RecordSize))
	verdicts := make([]abi.Verdict, len(values))
	if err := abi.Verdicts(verdicts, head, abi.RecordSize); err != nil {
		t.Fatal(err)
	}
	out, _ := b.module.Memory().Read(uint32(r[0]>>32), uint32(r[0]))
	return fmt.Sprintf("%v %q", verdicts, out)
}

func (b *bare) runEach(t testing.TB, values [][]byte, keep bool) string {
	var out []byte
	for _, v := range values {
		view, ptr := b.arena(t, max(1, len(v)))
		copy(view, v)
		r, err := b.call.Call(t.Context(), ptr, uint64(len(v)))
		if err != nil {
			t.Fatal(err)
		}
		if keep {
			made, _ := b.module.Memory().Read(uint32(r[0]>>32), uint32(r[0]))
			out = fmt.Appendf(out, "%x %q\n", r[0], made)
		}
	}
	return string(out)
}

// examples are the plugins, with the values that they are tested with.
func examples(t testing.TB) map[string][2][]byte {
	t.Helper()
	files, err := filepath.Glob("../../plugins/examples/*/*.wasm")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	out := map[string][2][]byte{}
	for _, f := range files {
		wasm, err1 := os.ReadFile(f)
		in, err2 := os.ReadFile(filepath.Join(filepath.Dir(f), "in.jsonl"))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		out[filepath.Base(filepath.Dir(f))] = [2][]byte{wasm, in}
	}
	return out
}

func sides(t testing.TB, wasm []byte) (plain, metered *bare) {
	t.Helper()
	m, err := Read(wasm, Default())
	if err != nil {
		t.Fatal(err)
	}
	e := newBareEngine(t)
	return startBare(t, e, wasm), startBare(t, e, m.Metered())
}

func lines(in []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(in, []byte("\n")), []byte("\n"))
}

func TestTheExamplesGiveEqualResults(t *testing.T) {
	t.Parallel()
	for name, x := range examples(t) {
		t.Run(name, func(t *testing.T) {
			plain, metered := sides(t, x[0])
			for range 3 {
				want, got := plain.run(t, lines(x[1]), true), metered.run(t, lines(x[1]), true)
				if want != got || want == "" {
					t.Errorf("plain   %s\nmetered %s", want, got)
				}
			}
		})
	}
}
