package runtime

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

func example(t testing.TB, path string) *Plugin {
	t.Helper()
	b, err := os.ReadFile("../plugins/examples/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, Source{Name: path, Bytes: b, Topics: []string{"t"}})
}

func TestSeveralOutputsShareAFamily(t *testing.T) {
	g := startGuest(t, example(t, "explode-items/explode_items.wasm"), Transform, Events{})
	b := batch("[1,2,3]", "[]", "[4]", "x", "[5,6]")
	older := &stream.Family{Left: 2}
	b.Records[4].Family = older
	process(t, g, b)
	if got := fates(b); got != "1 2 3 filtered 4 !error 5 6" {
		t.Fatal(got)
	}
	f := b.Records[0].Family
	if f == nil || f.Left != 3 || b.Records[2].Family != f || b.Records[4].Family != nil {
		t.Errorf("the family of three is %+v", f)
	}
	if older.Left != 3 || b.Records[6].Family != older || b.Records[7].Family != older {
		t.Errorf("the older family is %+v", older)
	}
	if o := b.Records[7].Origin.Offset; o != 4 {
		t.Errorf("the last output's origin is offset %d", o)
	}
}

func TestOutputsRememberWhatTheirInputWas(t *testing.T) {
	g := startGuest(t, example(t, "explode-items/explode_items.wasm"), Transform, Events{})
	b := batch("[1,2]", "[3]")
	b.Records[0].Hops = 3
	process(t, g, b)
	again := &stream.Batch{Records: []stream.Record{b.Records[0]}}
	again.Records[0].Value = []byte("[9]")
	process(t, g, again)
	for i, want := range []string{"[1,2]", "[1,2]", "[3]"} {
		if o := b.Records[i].Original; o == nil || string(o.Value) != want {
			t.Errorf("output %d has the original %+v, want %s", i, o, want)
		}
	}
	for i, want := range []uint8{3, 3, 0} {
		if n := b.Records[i].Hops; n != want {
			t.Errorf("output %d was a dead letter %d times, want %d, as its input", i, n, want)
		}
	}
	if o := again.Records[0].Original; o == nil || string(o.Value) != "[1,2]" {
		t.Errorf("after two transforms the original is %+v", o)
	}
}

func TestOutputLimitsNameTheLimit(t *testing.T) {
	p := example(t, "explode-items/explode_items.wasm")
	p.limits.Outputs, p.limits.OutputBytes = 2, 10
	b := batch("[1,2,3]", "[1,2]", `["0123456789"]`)
	process(t, startGuest(t, p, Transform, Events{}), b)
	if got := fates(b); got != "!output 1 2 !output" {
		t.Fatal(got)
	}
}

func TestOutputsOutliveTheirBatch(t *testing.T) {
	for _, c := range []struct{ module, first, later, want string }{
		{"explode-items/explode_items.wasm", "[11,12]", "[99,98]", "11 12"},
		{"minify/minify.wasm", "[ 11, 12 ]", "[ 99, 98 ]", "[11,12]"}, // sp_map: the host copies outputs one by one
	} {
		g := startGuest(t, example(t, c.module), Transform, Events{})
		first := batch(c.first)
		process(t, g, first)
		for range 3 {
			process(t, g, batch(c.later))
		}
		if got := fates(first); got != c.want {
			t.Errorf("%s: outputs changed afterwards: %s", c.module, got)
		}
	}
}

func TestKeysComeFromThePlugin(t *testing.T) {
	b := batch(`{"id":"ci1","properties":{"mag":6.1,"place":"x","time":1,"updated":2}}`)
	process(t, startGuest(t, example(t, "quake-alert/quake_alert.wasm"), Transform, Events{}), b)
	if !bytes.Equal(b.Records[0].Key, []byte("ci1")) {
		t.Errorf("key is %q", b.Records[0].Key)
	}
}

const bid = `{"auction":1007,"bidder":2003,"price":1000,"channel":"channel-5123","url":"https://www.nexmark.com/abc/def/ghi/item.htm?query=1&channel_id=123456","dateTime":1700000000123,"extra":"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrst"}`

func benchmark(b *testing.B, g *Guest, value string, n int) {
	values := make([]string, n)
	for i := range values {
		values[i] = value
	}
	in := batch(values...)
	template := append([]stream.Record{}, in.Records...)
	b.ReportAllocs()
	b.SetBytes(int64(n * len(value)))
	for b.Loop() {
		in.Records = append(in.Records[:0], template...)
		if err := g.Process(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func BenchmarkBidPrice(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmark(b, startGuest(b, example(b, "bid-price/bid_price.wasm"), Transform, Events{}), bid, n)
		})
	}
}

// BenchmarkBorder is a guest that looks at the first byte of a value only.
func BenchmarkBorder(b *testing.B) {
	benchmark(b, guest(b, "cursor", Filter, Limits{}, Events{}), bid, 1000)
}

func BenchmarkPerRecord(b *testing.B) {
	benchmark(b, startGuest(b, example(b, "level-filter/level_filter.wasm"), Filter, Events{}), bid, 1000)
}

func BenchmarkMap(b *testing.B) {
	benchmark(b, guest(b, "mapper", Transform, Limits{}, Events{}), bid, 1000)
}

// BenchmarkOneTrap is a batch of 1,000 in which one record traps, without a cursor and with one.
func BenchmarkOneTrap(b *testing.B) {
	for _, name := range []string{"faulty", "cursor"} {
		b.Run(name, func(b *testing.B) {
			traps := 0
			g := guest(b, name, Filter, Limits{}, Events{Trap: func(stream.Reason) { traps++ }})
			values := make([]string, 1000)
			for i := range values {
				values[i] = "k"
			}
			values[700] = "t"
			for b.Loop() {
				process(b, g, batch(values...))
			}
			b.ReportMetric(float64(traps)/float64(b.N), "instances")
		})
	}
}

// TestAGuestInJavaOutlivesItsCollector: TeaVM's loses what is alive if its first collection is within an export. The SDK
// has one before that.
func TestAGuestInJavaOutlivesItsCollector(t *testing.T) {
	traps := map[stream.Reason]int{}
	g := startGuest(t, example(t, "bid-price-java/bid_price_java.wasm"), Transform, Events{Trap: func(r stream.Reason) { traps[r]++ }})
	for range 5 { // a collection comes after some 300 records
		b := &stream.Batch{Records: make([]stream.Record, 1000)}
		for i := range b.Records {
			b.Records[i].Value = []byte(bid)
		}
		if err := g.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Records {
			if r := &b.Records[i]; !strings.HasPrefix(string(r.Value), `{"auction":1007,"bidder":2003,"price":908.000,`) {
				t.Fatalf("record %d became %s, %v", i, r.Value, r.Cause)
			}
		}
	}
	if delete(traps, stream.ReasonFuel); len(traps) > 0 { // the whole of a collection may fall into one call
		t.Errorf("it trapped: %v", traps)
	}
}
