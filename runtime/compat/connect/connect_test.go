package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// guests is the folder of the modules under test.
var guests = "testdata/"

func start(t testing.TB, module string, mode runtime.Mode, config string) (*runtime.Guest, error) {
	t.Helper()
	wasm, err := os.ReadFile(guests + module + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return startBytes(t, wasm, mode, config)
}

func startBytes(t testing.TB, wasm []byte, mode runtime.Mode, config string) (*runtime.Guest, error) {
	t.Helper()
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{Dialect{}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	p, err := rt.Load(t.Context(), runtime.Source{Name: "p", Bytes: wasm, Config: json.RawMessage(config)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(t.Context(), mode, "step", runtime.Events{})
	if err == nil {
		t.Cleanup(func() { g.Close(context.Background()) })
	}
	return g, err
}

func guest(t testing.TB, module string) *runtime.Guest {
	t.Helper()
	g, err := start(t, module, runtime.Transform, "")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func batchOf(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte("k"), Value: []byte(v), Timestamp: 5000 + int64(i),
			Headers: []stream.Header{{Key: "h", Value: []byte("1")}, {Key: "other"}, {Key: "h", Value: []byte("2")}},
			Origin:  stream.Coordinate{Partition: stream.Partition{Topic: "in", ID: 3}, Offset: 100 + int64(i)}})
	}
	return b
}

func check(t *testing.T, g *runtime.Guest, b *stream.Batch, want ...string) {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i := range b.Records {
		r := &b.Records[i]
		line := string(r.Key) + "=" + string(r.Value)
		if r.Value == nil {
			line = string(r.Key) + " is null"
		}
		for _, h := range r.Headers {
			line += fmt.Sprintf(" %s:%s", h.Key, h.Value)
		}
		if r.Fate == stream.DeadLettered {
			line = "!" + string(r.Cause.Reason) + " " + r.Cause.Message
		} else if r.Fate != stream.Flowing {
			line = r.Fate.String()
		}
		if !strings.HasPrefix(line, want[i]) && !strings.HasSuffix(line, want[i]) && (line[0] != '!' || !strings.Contains(line, want[i])) {
			t.Errorf("record %d is %.200q, want %q", i, line, want[i])
		}
	}
}

const headers = " h:1 other: h:2"

func TestAModuleReadsAndSetsTheMessage(t *testing.T) {
	for _, module := range []string{"allocate", "malloc"} {
		t.Run(module, func(t *testing.T) {
			g := guest(t, module)
			b := batchOf("", "a", "keep", "", "meta", "describe")
			b.Records[3].Value = nil
			check(t, g, b, "k="+headers, "k=A"+headers, "k=keep"+headers, "k="+headers, "key=meta other: h:new", "k=2||k|in|3|105|5005|5|false|"+headers)
			check(t, g, batchOf("held"), "k=1"+headers) // nothing but the message at hand
		})
	}
}

func TestATombstoneStaysOneUnlessItIsSet(t *testing.T) {
	b := batchOf("", "keep")
	b.Records[0].Value = nil
	g, err := start(t, "malloc", runtime.Transform, `{"function":"look"}`)
	if err != nil {
		t.Fatal(err)
	}
	check(t, g, b, "k is null"+headers, "k=keep"+headers)
}

func TestAFailureCostsItsRecord(t *testing.T) {
	g := guest(t, "malloc")
	values, want := []string{}, []string{}
	for i := range 120 {
		values, want = append(values, fmt.Sprint("v", i)), append(want, fmt.Sprint("k=V", i, headers))
	}
	for i, f := range map[int][2]string{
		3: {"trap", "!trap unreachable"}, 4: {"loop", "!fuel"}, 20: {"outside", "!contract the module gave an address outside its memory"},
		50: {"again", "!contract the module's allocator asks for the message"}, 51: {"far", "!contract the module's allocator gave 4294967280"},
		52: {"allocator", "!trap unreachable"}, 70: {"ask", "!limit more than 256 host calls"},
		119: {"offset", `!contract the module sets the metadata "kafka_offset"`},
	} {
		values[i], want[i] = f[0], f[1]
	}
	check(t, g, batchOf(values...), want...)
	check(t, g, batchOf("after"), "k=AFTER")
}

// TestAMessageIsPaidForEachTimeItIsAskedFor asks less often than host functions may be called.
func TestAMessageIsPaidForEachTimeItIsAskedFor(t *testing.T) {
	var m hostile.Module
	ask := m.Import(module, "v0_msg_as_bytes", ":I")
	m.Memory(32, -1)
	m.Export("malloc", m.Func("i:i", 0, hostile.Const(1024)))
	m.Export("free", m.Func("i:", 0, nil))
	m.Export("process", m.Func(":", 0, hostile.Repeat(200, hostile.Code(hostile.Call, hostile.U(uint64(ask)), hostile.Drop))))
	g, err := startBytes(t, m.Bytes(), runtime.Transform, "")
	if err != nil {
		t.Fatal(err)
	}
	check(t, g, batchOf("short"), "k=short"+headers)
	check(t, g, batchOf(strings.Repeat("x", 1<<20)), "!fuel")
}

func TestAModuleThatCannotBeUsedSaysWhy(t *testing.T) {
	for config, want := range map[string]string{
		`{"function":"nowhere"}`: `exports no function "nowhere"`,
		`{"function":"free"}`:    "without parameters",
		`{"functions":[]}`:       "the name of what it exports",
	} {
		if _, err := start(t, "malloc", runtime.Transform, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", config, err)
		}
	}
	if _, err := start(t, "malloc", runtime.Filter, ""); err == nil || !strings.Contains(err.Error(), "use it as a transform") {
		t.Errorf("as a filter: %v", err)
	}
}

// BenchmarkIdentity sets each message to what it was, 1,000 records of 200 bytes a batch.
func BenchmarkIdentity(b *testing.B) {
	g, err := start(b, "malloc", runtime.Transform, `{"function":"copy"}`)
	if err != nil {
		b.Fatal(err)
	}
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

// TestHeadersWithoutEndCostTheirRecord has a module set a header more, again and again, for a record that begins with x. Each costs a
// copy of those before it.
func TestHeadersWithoutEndCostTheirRecord(t *testing.T) {
	var m hostile.Module
	value := m.Import(module, "v0_msg_as_bytes", ":I")
	set := m.Import(module, "v0_msg_set_meta", "iiii:")
	m.Memory(1, -1)
	m.Export("allocate", m.Func("i:i", 0, hostile.Const(1024)))
	more := hostile.Code(hostile.Const(2048), hostile.Get(0), hostile.I32Store, 2, 0, hostile.Const(2048), hostile.Const(4), hostile.Const(0), hostile.Const(0),
		hostile.Call, hostile.U(uint64(set)), hostile.Get(0), hostile.Const(1), hostile.I32Add, hostile.LocalSet, hostile.U(0))
	m.Export("process", m.Func(":", 1, hostile.Code(hostile.Call, hostile.U(uint64(value)), hostile.Drop, hostile.Const(1024), hostile.Load8U, 0, 0, hostile.Const('x'), hostile.I32Eq,
		hostile.If, hostile.Empty, hostile.Loop, hostile.Empty, more, hostile.Br, 0, hostile.End, hostile.End)))
	g, err := startBytes(t, m.Bytes(), runtime.Transform, "")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for range 20 {
		values = append(values, "a", "b")
	}
	values[20] = "x"
	b := batchOf(values...)
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	goruntime.ReadMemStats(&after)
	for i := range b.Records {
		r := &b.Records[i]
		if c := r.Cause; (c != nil) != (i == 20) || c != nil && c.Message != "an output of 65 headers is over the limit of 64" {
			t.Errorf("record %d came to %v, %+v", i, r.Fate, c)
		}
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 50<<20 {
		t.Errorf("%d MiB were allocated for one record", grown>>20)
	}
}

func TestAModuleThatLeaksIsRecycled(t *testing.T) {
	for _, module := range []string{"allocate", "malloc"} {
		wasm, err := os.ReadFile(guests + module + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		start := guesttest.Leaking{Dialect: Dialect{}}.Start(t, runtime.Source{Name: "p", Bytes: wasm}, runtime.Transform)
		guesttest.Recycled(t, start, func() *stream.Batch { return batchOf("a", "b") })
	}
}
