package fluvio

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// guests is the folder of the modules under test.
var guests = "testdata/"

func start(t testing.TB, module string, mode runtime.Mode, config string) (*runtime.Guest, error) {
	t.Helper()
	p, err := load(t, module, config)
	if err != nil {
		return nil, err
	}
	g, err := p.NewGuest(t.Context(), mode, "step", runtime.Events{})
	if err == nil {
		t.Cleanup(func() { g.Close(context.Background()) })
	}
	return g, err
}

func load(t testing.TB, module, config string) (*runtime.Plugin, error) {
	t.Helper()
	wasm, err := os.ReadFile(guests + module + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{Dialect{}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	return rt.Load(t.Context(), runtime.Source{Name: module, Bytes: wasm, Config: json.RawMessage(config)})
}

func guest(t testing.TB, module string) *runtime.Guest {
	t.Helper()
	g, err := start(t, module, runtime.Transform, `{"letter":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func batchOf(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte(fmt.Sprint("k", i)), Value: []byte(v), Timestamp: 5000 - int64(i),
			Headers: []stream.Header{{Key: "h"}}, Origin: stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: 100 + int64(i)}})
	}
	return b
}

func check(t *testing.T, g *runtime.Guest, b *stream.Batch, want ...string) {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range b.Records {
		r := &b.Records[i]
		line := string(r.Key) + "=" + string(r.Value)
		if r.Fate == stream.DeadLettered {
			line = "!" + string(r.Cause.Reason) + " " + r.Cause.Message
		} else if r.Fate != stream.Flowing {
			line = r.Fate.String()
		} else if len(r.Headers) != 1 {
			t.Errorf("record %d has lost its headers", i)
		}
		got = append(got, line)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) && !(got[i][0] == '!' && strings.Contains(got[i], want[i])) {
			t.Fatalf("line %d of\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestAFilterOfTheSDKRunsUnchanged(t *testing.T) {
	g := guest(t, "filter")
	b := batchOf("apple", "cherry", "where", "error", "banana", "panic", "fig", "plum a")
	b.Records[4].Origin.Offset, b.Records[5].Origin.Offset, b.Records[6].Origin.Offset = 1000, 1001, 1002
	b.Records[6].Value = nil
	b.Records[7].Origin.ID = 1
	check(t, g, b, "k0=apple", "filtered", "k2=where", "!error as it was told", "k4=banana", "it wrote: thread '<unnamed>'", "k6=", "k7=plum a")
	if _, err := start(t, "filter", runtime.Filter, `{"letter":"b"}`); err != nil {
		t.Errorf("as a filter: %v", err)
	}
	for config, want := range map[string]string{"": "init refuses the parameters: letter is missing", "[1]": "names and values"} {
		if _, err := start(t, "filter", runtime.Transform, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("config %q: %v", config, err)
		}
	}
}

func TestMapsOfTheSDKRunUnchanged(t *testing.T) {
	check(t, guest(t, "map"), batchOf("a", "error", "b", "error", "panic", "c"), "k0=A", "!error as it was told", "k2=B", "!error as it was told", "!trap", "k5=C")
	check(t, guest(t, "array_map"), batchOf("a b", "", "error", "c"), "k0=a", "k0=b", "filtered", "!error as it was told", "k3=c")
	if _, err := start(t, "map", runtime.Filter, ""); err == nil || !strings.Contains(err.Error(), "use it as a transform") {
		t.Errorf("as a filter: %v", err)
	}
}

func TestAPanicIsFoundInFewCalls(t *testing.T) {
	p, err := load(t, "map", "")
	if err != nil {
		t.Fatal(err)
	}
	traps := 0
	g, err := p.NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{Trap: func(stream.Reason) { traps++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	values, want := make([]string, 90), make([]string, 90)
	for i := range values {
		values[i], want[i] = "a", fmt.Sprint("k", i, "=A")
	}
	values[80], want[80] = "panic", "!trap"
	check(t, g, batchOf(values...), want...)
	if traps > 8 { // the logarithm of 90, and once more alone
		t.Errorf("%d calls trapped", traps)
	}
}

func TestAnAggregateGoesOnInEachPartition(t *testing.T) {
	g := guest(t, "aggregate")
	b := batchOf("a", "b", "x", "c")
	b.Records[2].Origin.ID = 1
	check(t, g, b, "k0=a", "k1=ab", "k2=x", "k3=abc")
	check(t, g, batchOf("d", "panic", "e", "error", "f"), "k0=abcd", "!trap", "k2=abcde", "!error as it was told", "k4=abcdef")
}

func TestExportsOfOtherTypesAreRefused(t *testing.T) {
	if _, err := load(t, "odd", ""); err == nil || !strings.Contains(err.Error(), "the export alloc is (i32) -> (), it must be (i32) -> (i32)") {
		t.Errorf("got %v, want one about the export alloc", err)
	}
}

func TestTheWireIsAsOfVersion22(t *testing.T) {
	b, _ := hex.DecodeString("16" + "000000" + "00" + "0a" + hex.EncodeToString([]byte("apple")) + "00")
	r := reader{b: b}
	if delta, key, value := r.record(); delta != 0 || key != nil || string(value) != "apple" || r.bad || len(r.b) > 0 {
		t.Errorf("read %d %q %q, %v, %d bytes left", delta, key, value, r.bad, len(r.b))
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{0x16, 0, 0, 0, 0, 0x0a, 'a', 'p', 'p', 'l', 'e', 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := reader{b: b}
		for len(r.b) > 0 && !r.bad {
			r.record()
			_ = r.text()
			r.skip(r.varint())
		}
	})
}

// BenchmarkFilter keeps each record, 1,000 records of 200 bytes a batch.
func BenchmarkFilter(b *testing.B) {
	g, err := start(b, "filter", runtime.Transform, `{"letter":"x"}`)
	if err != nil {
		b.Fatal(err)
	}
	guesttest.Time(b, g)
}

func TestAModuleThatLeaksIsRecycled(t *testing.T) {
	guesttest.Recycled(t, leaking(t, "map"), func() *stream.Batch { return batchOf("a", "b", "c") })
}

// TestAnAggregateGoesOnInARecycledInstance: what it has come to is the host's to keep.
func TestAnAggregateGoesOnInARecycledInstance(t *testing.T) {
	recycled := 0
	g, err := leaking(t, "aggregate")(runtime.Events{Recycled: func(int64, int64, int) { recycled++ }, Trap: func(r stream.Reason) { t.Errorf("a call has trapped: %s", r) }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	for want := "a"; recycled < 2; want += "a" {
		b := batchOf("a")
		b.Records[0].Origin.Offset += int64(len(want))
		check(t, g, b, "k0="+want)
		if len(want) > 10_000 {
			t.Fatalf("it was recycled %d times", recycled)
		}
	}
}

func leaking(t *testing.T, module string) func(runtime.Events) (*runtime.Guest, error) {
	t.Helper()
	wasm, err := os.ReadFile(guests + module + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return guesttest.Leaking{Dialect: Dialect{}}.Start(t, runtime.Source{Name: module, Bytes: wasm}, runtime.Transform)
}
