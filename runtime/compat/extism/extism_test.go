package extism

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// guests is the folder of the modules under test.
var guests = "testdata/"

func load(t testing.TB, module, config string, log *strings.Builder) (*runtime.Plugin, error) {
	t.Helper()
	wasm, err := os.ReadFile(guests + module + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{Dialect{}}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	return rt.Load(t.Context(), runtime.Source{Name: module, Bytes: wasm, Config: json.RawMessage(config)})
}

func start(t testing.TB, module string, mode runtime.Mode, config string) (*runtime.Guest, error) {
	t.Helper()
	p, err := load(t, module, config, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(t.Context(), mode, "step", runtime.Events{})
	if err == nil {
		t.Cleanup(func() { g.Close(context.Background()) })
	}
	return g, err
}

func guest(t testing.TB, module string, mode runtime.Mode, config string) *runtime.Guest {
	t.Helper()
	g, err := start(t, module, mode, config)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func check(t *testing.T, g *runtime.Guest, values []string, want ...string) {
	t.Helper()
	b := &stream.Batch{}
	for _, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte("k"), Value: []byte(v), Headers: []stream.Header{{Key: "h"}}})
		if v == "null" {
			b.Records[len(b.Records)-1].Value = nil
		}
	}
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Records) != len(want) {
		t.Fatalf("%d records became %d, want %d", len(values), len(b.Records), len(want))
	}
	for i := range b.Records {
		r := &b.Records[i]
		line := string(r.Value)
		if r.Fate == stream.DeadLettered {
			line = "!" + string(r.Cause.Reason) + " " + r.Cause.Message
		} else if r.Fate != stream.Flowing {
			line = r.Fate.String()
		} else if r.Value == nil {
			line = "null"
		}
		if line != want[i] && (line[0] != '!' || want[i][0] != '!' || !strings.Contains(line, want[i][1:])) {
			t.Errorf("record %d is %q, want %q", i, line, want[i])
		}
		if string(r.Key) != "k" || len(r.Headers) != 1 {
			t.Errorf("record %d has lost its key or headers", i)
		}
	}
}

func TestAPluginOfThePDKRunsUnchanged(t *testing.T) {
	var log strings.Builder
	p, err := load(t, "rust", `{"function":"map","config":{"greeting":"hi"}}`, &log)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	long := strings.Repeat("a long value ", 10_000)
	check(t, g, []string{"a", "", "null", "config", "count", "error", "count", "nothing", "log", long},
		"A", "filtered", "null", "hi", "1", "!error as it was told", "2", "filtered", "log", strings.ToUpper(long))
	if !strings.Contains(log.String(), "level=WARN msg=\"as it was told\"") {
		t.Errorf("the log is %s", log.String())
	}
}

func TestAFilterAnswersTrueOrFalse(t *testing.T) {
	g := guest(t, "rust", runtime.Filter, `{"function":"keep"}`)
	check(t, g, []string{"a", "drop it", "error", "answer", "null", "b"},
		"a", "filtered", "!error as it was told", `!contract the plugin's output is "perhaps"; in a filter it is true or false`, "null", "b")
}

func TestAFailureCostsItsRecord(t *testing.T) {
	g := guest(t, "rust", runtime.Transform, `{"function":"map"}`)
	values, want := []string{}, []string{}
	for i := range 120 {
		values, want = append(values, fmt.Sprint("v", i)), append(want, fmt.Sprint("V", i))
		switch i {
		case 3, 4, 119:
			values[i], want[i] = "panic", "!as it was told"
		case 50:
			values[i], want[i] = "error", "!error as it was told"
		}
	}
	check(t, g, values, want...)
	check(t, g, []string{"after"}, "AFTER")
}

func TestTheWireIsAsExtismHasIt(t *testing.T) {
	g := guest(t, "odd", runtime.Transform, "")
	check(t, g, []string{"blocks", "range", "input...", "out", "Out", "1", "2", "3", "e", "config", "vars", "window", "alloc", "trap", "x", "zebra"},
		"sound", "nothing", "same", "!contract output_set was given 1048576 bytes", "!contract output_set was given", "!error the plugin returns 1, and says no more",
		"!error told so", "!error the plugin returns 3", "fine", "null", "!limit the plugin keeps more than 1048576 bytes in variables", "fits",
		"!fuel it spent more than the limit fuel", "!trap unreachable", "filtered", "zebra")
}

// TestARequestCostsItsRecord: that a plugin can ask for HTTP keeps it from nothing.
func TestARequestCostsItsRecord(t *testing.T) {
	g := guest(t, "http", runtime.Transform, "")
	check(t, g, []string{"y", "http", "z", "status", "http", "zz"},
		"y", "!error the plugin sends an HTTP request, and a plugin reaches no network", "z", "none", "!error the plugin sends an HTTP request", "zz")
}

func TestMemoryStaysWithinALimitThatIsNoMultipleOfEight(t *testing.T) {
	m := memory{limit: 1001, blocks: map[uint64]uint64{}}
	if at := m.alloc(1001); at != 0 {
		t.Errorf("a block of 1,001 bytes, which takes 1,008, is at %d", at)
	}
	if m.alloc(997) == 0 || m.alloc(1) != 0 || m.alloc(1<<40) != 0 || m.alloc(1<<64-1) != 0 {
		t.Errorf("there are %d bytes", len(m.bytes))
	}
	if m.block(base+8) != nil || m.block(0) != nil {
		t.Error("where no block begins there is one")
	}
}

// FuzzMemoryStaysWithinItsLimit does what the bytes say, 17 for each step: what to do, and two numbers.
func FuzzMemoryStaysWithinItsLimit(f *testing.F) {
	step := func(op byte, a, b uint64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{op}, a), b)
	}
	f.Add(1001, slices.Concat(step(0, 997, 0), step(0, 1<<63, 0), step(1, base, 0), step(0, 1, 0), step(2, base, 1<<64-1)))
	f.Add(64, slices.Concat(step(0, 24, 0), step(0, 40, 0), step(3, 1<<64-1, 8), step(4, base+60, 8), step(5, base, 0)))
	f.Fuzz(func(t *testing.T, limit int, steps []byte) {
		if limit = limit & 0xffff; limit == 0 {
			return
		}
		m := memory{limit: limit, blocks: map[uint64]uint64{}}
		for ; len(steps) >= 17; steps = steps[17:] {
			a, b := binary.LittleEndian.Uint64(steps[1:]), binary.LittleEndian.Uint64(steps[9:])
			switch steps[0] % 6 {
			case 0:
				if at := m.alloc(a); at > 0 && uint64(len(m.block(at))) != a {
					t.Fatalf("a block of %d bytes has %d", a, len(m.block(at)))
				}
			case 1:
				m.free(a)
			case 2:
				m.store(span{a, 8}, b)
			case 3:
				m.load(span{a, b % 9})
			case 4:
				if v := m.view(span{a, b}); v != nil && uint64(len(v)) != b {
					t.Fatalf("a view of %d bytes has %d", b, len(v))
				}
			case 5:
				m.reset()
			}
			if len(m.bytes) > limit {
				t.Fatalf("it is %d bytes, of %d", len(m.bytes), limit)
			}
		}
	})
}

func TestWhatIsNotOfferedIsRefusedByName(t *testing.T) {
	want := `the Extism plugin imports "mine" of extism:host/user`
	if _, err := load(t, "user", "", &strings.Builder{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v", err)
	}
	for config, want := range map[string]string{
		"":                          `3 functions without parameters, ["copy" "keep" "map"]; name the one to call`,
		`{"function":"nowhere"}`:    `exports no function "nowhere"`,
		`{"config":{"greeting":1}}`: "names and texts",
	} {
		if _, err := start(t, "rust", runtime.Transform, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("config %q: error is %v", config, err)
		}
	}
}

// BenchmarkIdentity is the PDK's copy of each value, 1,000 records of 200 bytes a batch.
func BenchmarkIdentity(b *testing.B) {
	g := guest(b, "rust", runtime.Transform, `{"function":"copy"}`)
	const n = 1000
	batch := &stream.Batch{}
	value := []byte(strings.Repeat("x", 200))
	for b.Loop() {
		batch.Reset()
		for i := range n {
			batch.Records = append(batch.Records, stream.Record{Value: value, Origin: stream.Coordinate{Offset: int64(i)}})
		}
		if err := g.Process(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func TestAPluginThatLeaksIsRecycled(t *testing.T) {
	wasm, err := os.ReadFile(guests + "rust.wasm")
	if err != nil {
		t.Fatal(err)
	}
	start := guesttest.Leaking{Dialect: Dialect{}}.Start(t, runtime.Source{Name: "p", Bytes: wasm, Config: json.RawMessage(`{"function":"map"}`)}, runtime.Transform)
	guesttest.Recycled(t, start, func() *stream.Batch { return guesttest.Batch("a", "b") })
}
