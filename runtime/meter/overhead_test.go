package meter

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

// threadTime is the processor time of this thread, in nanoseconds: what else runs on the machine is not in it.
func threadTime(b *testing.B) float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return float64(t.Nano())
}

// rounds compares two plain instances and a metered one of the same module. They take turns within a round, in another
// order each time, so that a slow moment of the machine falls on all of them; a round gives one ratio, and the median of
// the ratios is the result. How far two plain instances lie apart says what a ratio means.
func rounds(b *testing.B, records int, plain, again, metered func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sides := []func(){plain, again, metered}
	for _, run := range sides {
		run()
	}
	var first, ratios, apart []float64
	for b.Loop() {
		var took [3]float64
		for i := range sides {
			side := (i + len(ratios)) % len(sides)
			begin := threadTime(b)
			sides[side]()
			took[side] = threadTime(b) - begin
		}
		first = append(first, took[0]/float64(records))
		ratios = append(ratios, 2*took[2]/(took[0]+took[1]))
		apart = append(apart, took[0]/took[1])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(first, 0.5), "plain-ns/record")
	b.ReportMetric(quantile(ratios, 0.5), "ratio")
	b.ReportMetric(quantile(ratios, 0.25), "ratio-q1")
	b.ReportMetric(quantile(ratios, 0.75), "ratio-q3")
	b.ReportMetric(quantile(apart, 0.5), "A/A")
	b.ReportMetric(quantile(apart, 0.75)-quantile(apart, 0.25), "A/A-iqr")
}

func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[int(q*float64(len(v)-1))]
}

// BenchmarkOverhead is what metering costs the guests of bench/guests (NEXMark's queries 1 and 2) and the examples.
func BenchmarkOverhead(b *testing.B) {
	guests, err := filepath.Glob("../../bench/guests/build/*.wasm")
	guests = slices.DeleteFunc(guests, func(g string) bool { return strings.HasSuffix(g, "-fields.wasm") }) // they want another batch
	if err != nil || len(guests) < 8 {
		b.Fatalf("%d guests: run make -C bench/guests (%v)", len(guests), err)
	}
	var bids [][]byte
	for n := range int64(500) {
		bids = append(bids, bid.Append(nil, n))
	}
	for _, g := range guests {
		wasm, err := os.ReadFile(g)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.TrimSuffix(filepath.Base(g), ".wasm"), func(b *testing.B) { overhead(b, wasm, bids) })
	}
	for name, x := range examples(b) {
		b.Run(name, func(b *testing.B) { overhead(b, x[0], slices.Repeat(lines(x[1])[:1], 500)) })
	}
}

func overhead(b *testing.B, wasm []byte, values [][]byte) {
	plain, metered := sides(b, wasm)
	again := startBare(b, newBareEngine(b), wasm)
	run := func(x *bare) func() {
		return func() {
			x.refill()
			x.run(b, values, false)
		}
	}
	rounds(b, len(values), run(plain), run(again), run(metered))
	b.ReportMetric(float64(metered.spent())/float64(len(values)), "units/record")
}

// BenchmarkCompile is how long the engine's compiler takes for a module as it is and metered, and what metering itself does, for the
// examples, a guest in Go and the engines of scripts. The three take turns, and the medians count.
func BenchmarkCompile(b *testing.B) {
	files, err := filepath.Glob("../../plugins/examples/*/*.wasm")
	if err != nil || len(files) < 10 {
		b.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range append(files, "../js/engine/quickjs.wasm", "../lua/engine/lua.wasm", "../../bench/guests/build/go-q1.wasm") {
		wasm, err := os.ReadFile(file)
		if err != nil {
			b.Fatalf("%v: the guest in Go is made by make -C bench/guests", err)
		}
		b.Run(strings.TrimSuffix(filepath.Base(file), ".wasm"), func(b *testing.B) { compileBoth(b, wasm) })
	}
}

func compileBoth(b *testing.B, wasm []byte) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var metered []byte
	compile := func(wasm []byte) {
		e := wazero.NewRuntime(b.Context()) // an engine keeps what it has compiled
		if _, err := e.CompileModule(b.Context(), wasm); err != nil {
			b.Fatal(err)
		}
		if err := e.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	turns := []func(){
		func() { compile(wasm) },
		func() {
			m, err := Read(wasm, Default())
			if err != nil {
				b.Fatal(err)
			}
			metered = m.Metered()
		},
		func() { compile(metered) },
	}
	took := make([][]float64, len(turns))
	for b.Loop() {
		for i, turn := range turns {
			begin := threadTime(b)
			turn()
			took[i] = append(took[i], (threadTime(b)-begin)/1e6)
		}
	}
	plain, compiled := quantile(took[0], 0.5), quantile(took[2], 0.5)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(wasm))/1e3, "plain-kB")
	b.ReportMetric(float64(len(metered))/float64(len(wasm)), "size-ratio")
	b.ReportMetric(plain, "plain-ms")
	b.ReportMetric(quantile(took[1], 0.5), "pass-ms")
	b.ReportMetric(compiled, "metered-ms")
	b.ReportMetric(compiled/plain, "ratio")
}

// BenchmarkOverheadOfScripts is what metering costs QuickJS with NEXMark's query 1 as a script.
func BenchmarkOverheadOfScripts(b *testing.B) {
	wasm, err := os.ReadFile("../js/engine/quickjs.wasm")
	if err != nil {
		b.Fatal(err)
	}
	m, err := Read(wasm, Default())
	if err != nil {
		b.Fatal(err)
	}
	const records = 50
	var text []byte
	for n := range int64(records) {
		text = append(bid.Append(text, n), '\n')
	}
	var last *bareScript
	start := func(wasm []byte) func() {
		s := newBareScript(b, wasm)
		last = s
		s.eval(b, `globalThis.map = v => ({ auction: v.auction, bidder: v.bidder, price: JSON.rawJSON((v.price * 0.908).toFixed(3)), channel: v.channel, dateTime: v.dateTime });
globalThis.run = text => { let out = ''; for (const line of text.split('\n')) if (line !== '') out += JSON.stringify(map(JSON.parse(line))) + '\n'; return out.length }`)
		program := "run(`" + string(text) + "`)"
		return func() { s.eval(b, program) }
	}
	rounds(b, records, start(wasm), start(wasm), start(m.Metered()))
	b.ReportMetric(float64(last.spent())/records, "units/record")
}

// bareScript is the script engine with no more of a host than it needs.
type bareScript struct{ bare }

func newBareScript(b *testing.B, wasm []byte) *bareScript {
	e := newBareEngine(b)
	compiled, err := e.CompileModule(b.Context(), wasm)
	if err != nil {
		b.Fatal(err)
	}
	hosts := map[string]wazero.HostModuleBuilder{}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == "wasi_snapshot_preview1" {
			continue
		}
		if hosts[module] == nil {
			hosts[module] = e.NewHostModuleBuilder(module)
		}
		if module == "env" && name == "abort" {
			continue
		}
		zero := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if len(stack) > 0 {
				stack[0] = 0
			}
		})
		hosts[module].NewFunctionBuilder().WithGoModuleFunction(zero, f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	delete(hosts, "sp1")
	for name, h := range hosts {
		if name == "env" {
			if err := e.Module("env").Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := h.Instantiate(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	m, err := e.InstantiateModule(b.Context(), compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	s := &bareScript{bare{module: m}}
	s.refill()
	s.invoke(b, "_initialize")
	s.invoke(b, "qjs_init")
	s.invoke(b, "qjs_set_max_stack_size", 256<<10)
	return s
}

func (s *bareScript) invoke(b *testing.B, name string, args ...uint64) uint64 {
	f := s.module.ExportedFunction(name)
	r, err := f.Call(b.Context(), args...)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	if len(r) == 0 {
		return 0
	}
	return r[0]
}

func (s *bareScript) put(b *testing.B, text string) (ptr, n uint64) {
	n = uint64(len(text))
	ptr = s.invoke(b, "wasm_malloc", n+1)
	if !s.module.Memory().Write(uint32(ptr), append([]byte(text), 0)) {
		b.Fatal("the text is beyond the memory")
	}
	return ptr, n
}

func (s *bareScript) eval(b *testing.B, program string) {
	s.refill()
	name, _ := s.put(b, "q1.js")
	text, n := s.put(b, program)
	h := s.invoke(b, "qjs_eval", text, n, name, 0)
	if s.invoke(b, "qjs_is_exception", h) != 0 {
		size, _ := s.put(b, "0123456789abcdef")
		at := s.invoke(b, "qjs_get_string_len", s.invoke(b, "qjs_get_exception"), size)
		raw, _ := s.module.Memory().Read(uint32(size), 4)
		message, _ := s.module.Memory().Read(uint32(at), binary.LittleEndian.Uint32(raw))
		b.Fatalf("the script threw %s", message)
	}
	s.invoke(b, "qjs_free_value", h)
	s.invoke(b, "wasm_free", text)
	s.invoke(b, "wasm_free", name)
}
