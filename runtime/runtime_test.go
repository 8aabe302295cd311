package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

func newRuntime(t testing.TB, o Options) *Runtime {
	t.Helper()
	rt, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	return rt
}

func wasmOf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func load(t testing.TB, s Source) *Plugin {
	t.Helper()
	p, err := newRuntime(t, Options{}).Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func guest(t testing.TB, name string, mode Mode, l Limits, e Events) *Guest {
	t.Helper()
	return startGuest(t, load(t, Source{Name: name, Bytes: wasmOf(t, name), Limits: l, Metrics: []string{"m"}}), mode, e)
}

func startGuest(t testing.TB, p *Plugin, mode Mode, e Events) *Guest {
	t.Helper()
	g, err := p.NewGuest(t.Context(), mode, "step", e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

func batch(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		at := stream.Coordinate{Partition: stream.Partition{Topic: "t"}, Offset: int64(i)}
		b.Records = append(b.Records, stream.Record{Value: []byte(v), Timestamp: int64(i), Origin: at})
	}
	return b
}

// fates writes the batch as one word per record: k(ept), or the fate and reason.
func fates(b *stream.Batch) string {
	var out []string
	for _, r := range b.Records {
		switch r.Fate {
		case stream.Flowing:
			out = append(out, string(r.Value))
		case stream.DeadLettered:
			out = append(out, "!"+string(r.Cause.Reason))
		default:
			out = append(out, r.Fate.String())
		}
	}
	return strings.Join(out, " ")
}

func process(t testing.TB, g *Guest, b *stream.Batch) {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesWithAReason(t *testing.T) {
	ok := wasmOf(t, "cursor")
	lie := append(append([]byte{}, ok[:8]...), 1, 0xff, 0xff, 0xff, 0xff, 0x0f)
	for name, c := range map[string]struct {
		wasm []byte
		want string
	}{
		"empty":         {nil, "the file is empty"},
		"header cut":    {ok[:6], "truncated"},
		"module cut":    {ok[:len(ok)-3], "truncated"},
		"length lie":    {lie, "truncated"},
		"elf":           {[]byte("\x7fELF\x02\x01\x01\x00"), "not WebAssembly"},
		"component":     {[]byte("\x00asm\x0d\x00\x01\x00"), "a component, not a module"},
		"nomarker":      {nil, "the export sp_abi_v1 is missing"},
		"newmarker":     {nil, `there is "sp_abi_v2"; this build speaks version 1`},
		"noalloc":       {nil, "the export sp_alloc is missing"},
		"fieldsfilter":  {nil, "fields are for sp_process"},
		"nocall":        {nil, "exports none of"},
		"twocalls":      {nil, "exports 2 of"},
		"nomemory":      {nil, `as "memory"`},
		"wrongtype":     {nil, "sp_process is (i32) -> (i64), it must be (i32 i32) -> (i64)"},
		"importtype":    {nil, "sp1.log is (i32) -> (), it must be (i32 i32 i32) -> ()"},
		"unknownimport": {nil, `"metric_ad" is unknown; the nearest is sp1.metric_add`},
		"bigmemory":     {nil, "600 pages of memory at the start are over the limit of 512"},
	} {
		t.Run(name, func(t *testing.T) {
			wasm := c.wasm
			if _, err := os.Stat("testdata/" + name + ".wasm"); err == nil {
				wasm = wasmOf(t, name)
			}
			_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: wasm})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLoadRunsOnlyThePinnedBytes(t *testing.T) {
	rt := newRuntime(t, Options{})
	p := load(t, Source{Bytes: wasmOf(t, "cursor")})
	if _, err := rt.Load(t.Context(), Source{Bytes: wasmOf(t, "cursor"), SHA256: p.Digest()}); err != nil {
		t.Error(err)
	}
	if _, err := rt.Load(t.Context(), Source{Bytes: wasmOf(t, "faulty"), SHA256: p.Digest()}); !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), "if this is the module you mean, give it as sha256") {
		t.Errorf("other bytes: %v", err)
	}
}

func TestCacheDirMustBePrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{CacheDir: dir}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a directory that others write to: %v", err)
	}
	private := filepath.Join(dir, "cache")
	rt := newRuntime(t, Options{CacheDir: private})
	if _, err := rt.Load(t.Context(), Source{Bytes: wasmOf(t, "cursor")}); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(private + "/*/*"); len(files) == 0 {
		t.Error("nothing was cached")
	}
}

func TestOneRecordCostsOneRecord(t *testing.T) {
	for _, name := range []string{"faulty", "cursor"} {
		traps := 0
		g := guest(t, name, Filter, Limits{}, Events{Trap: func(stream.Reason) { traps++ }})
		var values, want []string
		for i := range 100 {
			values, want = append(values, fmt.Sprint(i)), append(want, fmt.Sprint(i))
			if i%3 == 2 {
				values[i], want[i] = "t", "!trap"
			}
		}
		b := batch(values...)
		process(t, g, b)
		if got := fates(b); got != strings.Join(want, " ") {
			t.Errorf("%s: %s", name, got)
		}
		if c := b.Records[2].Cause; !strings.Contains(c.Message, "unreachable") || c.Plugin != g.plugin.digest || c.Step != "step" {
			t.Errorf("%s: cause is %+v", name, c)
		}
		if traps < 33 {
			t.Errorf("%s: %d traps were reported", name, traps)
		}
	}
}

// TestBlameAgreesWithOneByOne compares batches with the same records processed one at a time.
func TestBlameAgreesWithOneByOne(t *testing.T) {
	g, single := guest(t, "faulty", Transform, Limits{}, Events{}), guest(t, "faulty", Transform, Limits{}, Events{})
	letters := []string{"k", "t", "d", "f", "v", "o", "n", "g", "r", "h", "x"}
	seed := uint32(1)
	for range 20 {
		var values, want []string
		for range 40 {
			seed = seed*1664525 + 1013904223
			v := letters[seed>>16%uint32(len(letters))]
			one := batch(v)
			process(t, single, one)
			values, want = append(values, v), append(want, fates(one))
		}
		b := batch(values...)
		process(t, g, b)
		if got := fates(b); got != strings.Join(want, " ") {
			t.Fatalf("values %v\ngot  %s\nwant %v", values, got, want)
		}
	}
}

func TestEveryBreachFailsItsRecordOnly(t *testing.T) {
	g := guest(t, "faulty", Transform, Limits{}, Events{})
	b := batch("k", "t", "d", "f", "v", "o", "n", "r", "h", "k")
	process(t, g, b)
	if got := fates(b); got != "k !trap filtered !error !contract !contract !error filtered !limit k" {
		t.Error(got)
	}
	for i, want := range map[int]string{3: "because", 4: "verdict 9", 5: "beyond the memory", 6: "because", 8: "256 host calls"} {
		if m := b.Records[i].Cause.Message; !strings.Contains(m, want) {
			t.Errorf("record %d: %q lacks %q", i, m, want)
		}
	}
}

func TestPerRecordFormsKeepTheContract(t *testing.T) {
	b := batch("1", "0", "2", "/", "1")
	process(t, guest(t, "oddfilter", Filter, Limits{}, Events{}), b)
	if got := fates(b); got != "1 filtered !contract !error 1" {
		t.Error(got)
	}
	b = batch("abc", "-same", "d", "e", "w", "xyz")
	b.Records[0].JSON = stream.JSONValid
	process(t, guest(t, "mapper", Transform, Limits{}, Events{}), b)
	if got := fates(b); got != "a -same filtered !error !contract x" {
		t.Error(got)
	}
	if b.Records[0].JSON != stream.JSONUnknown {
		t.Error("a changed value is still said to be JSON")
	}
}

func TestTombstonesPassPerRecordForms(t *testing.T) {
	b := batch("d")
	b.Records[0].Value = nil
	process(t, guest(t, "mapper", Transform, Limits{}, Events{}), b)
	if b.Records[0].Fate != stream.Flowing || b.Records[0].Value != nil {
		t.Errorf("tombstone became %+v", b.Records[0])
	}
}

func TestAllocOutOfBoundsIsABreachAndNullALimit(t *testing.T) {
	for name, want := range map[string]string{"allocwild": "!contract !contract", "allocnull": "!limit !limit"} {
		b := batch("a", "b")
		process(t, guest(t, name, Filter, Limits{}, Events{}), b)
		if got := fates(b); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPassThroughCopiesNothing(t *testing.T) {
	b := batch("abc", "def")
	first := &b.Records[0].Value[0]
	process(t, guest(t, "cursor", Transform, Limits{}, Events{}), b)
	if &b.Records[0].Value[0] != first {
		t.Error("the value was copied")
	}
}

func TestLargeBatchesAreCut(t *testing.T) {
	calls, memory := 0, uint32(0)
	g := guest(t, "faulty", Filter, Limits{}, Events{Call: func(int) { calls++ }, Memory: func(n uint32) { memory = n }})
	b := batch(strings.Repeat("k", 900_000), strings.Repeat("k", 900_000), strings.Repeat("d", 3_000_000), "t")
	process(t, g, b)
	if b.Records[2].Fate != stream.Filtered || b.Records[3].Fate != stream.DeadLettered || b.Records[0].Fate != stream.Flowing {
		t.Error("fates are wrong")
	}
	if calls < 3 || memory == 0 {
		t.Errorf("%d calls, %d bytes of memory", calls, memory)
	}
	small := guest(t, "faulty", Filter, Limits{MemoryBytes: 128 << 10}, Events{})
	b = batch(strings.Repeat("k", 50_000), strings.Repeat("k", 50_000), strings.Repeat("k", 50_000), strings.Repeat("k", 200_000))
	process(t, small, b)
	if got := b.Records[3].Cause; got == nil || got.Reason != stream.ReasonLimit || b.Records[2].Fate != stream.Flowing {
		t.Errorf("a record larger than the guest's memory: %+v", got)
	}
}

func TestFuelEndsALoop(t *testing.T) {
	b := batch("k", "l", "k")
	process(t, guest(t, "faulty", Filter, Limits{}, Events{}), b)
	if got := fates(b); got != "k !fuel k" {
		t.Error(got)
	}
	if m := b.Records[1].Cause.Message; !strings.Contains(m, "limit fuel of 10000000 units") {
		t.Error(m)
	}
}

func TestConfigurationCanBeRefused(t *testing.T) {
	p := load(t, Source{Name: "p", Bytes: wasmOf(t, "refuse")})
	if _, err := p.NewGuest(t.Context(), Filter, "s", Events{}); err == nil || !strings.Contains(err.Error(), "with 3") {
		t.Errorf("error is %v", err)
	}
}

func TestExitIsATrap(t *testing.T) {
	b := batch("a")
	process(t, guest(t, "exits", Filter, Limits{}, Events{}), b)
	if c := b.Records[0].Cause; c == nil || c.Reason != stream.ReasonTrap || !strings.Contains(c.Message, "proc_exit") {
		t.Errorf("cause is %+v", c)
	}
}

// TestAnAbortHasItsPlace as AssemblyScript gives it for what is thrown.
func TestAnAbortHasItsPlace(t *testing.T) {
	b := batch("a", "")
	process(t, guest(t, "aborts", Filter, Limits{}, Events{}), b)
	for i, want := range []string{"abort: no (a.ts:7:3)", "abort (line 7:3)"} {
		if c := b.Records[i].Cause; c == nil || c.Reason != stream.ReasonTrap || c.Message != want {
			t.Errorf("cause is %+v, want %q", c, want)
		}
	}
}

// TestMoreThanWasSaidIsToldInC as what was written beyond the room may lie over something else.
func TestMoreThanWasSaidIsToldInC(t *testing.T) {
	b := batch("a", "bytes", "a", "outputs", "a")
	process(t, guest(t, "over", Transform, Limits{}, Events{}), b)
	if got := fates(b); got != "x !trap x !trap x" {
		t.Error(got)
	}
	for i, want := range map[int]string{1: "its output is more than SP1_ROOM says", 3: "its outputs are more than SP1_OUTPUTS says"} {
		if c := b.Records[i].Cause; c == nil || !strings.HasSuffix(c.Message, ": "+want) {
			t.Errorf("cause is %+v, want %q", c, want)
		}
	}
}

func TestLogsAreEscapedAndCapped(t *testing.T) {
	var out bytes.Buffer
	rt := newRuntime(t, Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	p, err := rt.Load(t.Context(), Source{Name: "logs", Bytes: wasmOf(t, "logs")})
	if err != nil {
		t.Fatal(err)
	}
	process(t, startGuest(t, p, Filter, Events{}), batch("a"))
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), `\u001b`) {
		t.Error("an escape sequence reached the log")
	}
	if n := out.Len(); n > 4*logCallBytes {
		t.Errorf("%d bytes were logged", n)
	}
	if !strings.Contains(out.String(), "suppressed") {
		t.Error("suppression is not mentioned")
	}
}

// TestALineWrittenInPiecesIsOne as the runtime of Go writes it when it panics; what was written goes with the cause.
func TestALineWrittenInPiecesIsOne(t *testing.T) {
	var out bytes.Buffer
	rt := newRuntime(t, Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	p, err := rt.Load(t.Context(), Source{Name: "prints", Bytes: wasmOf(t, "prints")})
	if err != nil {
		t.Fatal(err)
	}
	b := batch("a", "")
	process(t, startGuest(t, p, Filter, Events{}), b)
	for i, said := range []string{"", ": out of fruit"} {
		if c := b.Records[i].Cause; c == nil || c.Message != "unreachable in function 5"+said+"; it wrote: panic: out of fruit | goroutine 1 | half" {
			t.Errorf("cause is %+v", c)
		}
	}
	for _, line := range []string{`msg="panic: out of fruit"`, `msg=" goroutine 1"`, "msg=half"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%s is not there:\n%s", line, out.String())
		}
	}
}

func TestGuestsOfOnePluginRunSideBySide(t *testing.T) {
	p := load(t, Source{Name: "p", Bytes: wasmOf(t, "faulty")})
	var wg sync.WaitGroup
	for range 4 {
		g := startGuest(t, p, Filter, Events{})
		wg.Go(func() {
			for range 30 {
				b := batch("k", "t", "d", "f")
				if err := g.Process(context.Background(), b); err != nil || fates(b) != "k !trap filtered !error" {
					t.Errorf("%v, %s", err, fates(b))
				}
			}
		})
	}
	wg.Wait()
}
