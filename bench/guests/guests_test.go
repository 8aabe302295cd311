// Package guests measures the guests of this folder, with and without fields, by processor time.
package guests

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/js"
)

// BenchmarkGuests hands bids, 1,000 at once, to each guest that `make -C bench/guests` has built and to the scripts. again is
// the guest before it once more: what two measurements of the same differ by. Where the machine is shared, run the
// binary of the test several times, so that the guests take turns.
func BenchmarkGuests(b *testing.B) {
	values := make([][]byte, 1000)
	for i := range values {
		values[i] = bid.Append(nil, int64(i))
	}
	for _, query := range []string{"filter", "q2", "members", "q1"} {
		for _, name := range guestsOf(query) {
			b.Run(name, func(b *testing.B) { guesttest.CPU(b, guest(b, name), values) })
			if !strings.HasSuffix(name, "-fields") && query != "members" {
				b.Run(name+"-again", func(b *testing.B) { guesttest.CPU(b, guest(b, name), values) })
			}
		}
	}
}

// guestsOf names the guests of a query, each before its form with fields. Those of members are query 2 by the SDKs' readers of
// JSON members, each with vectors, then without.
func guestsOf(query string) (names []string) {
	if query == "members" {
		return []string{"c-members", "c-bytes", "rust-members", "rust-bytes", "zig-members", "zig-bytes", "as-members", "as-bytes"}
	}
	for _, language := range []string{"c", "rust", "go", "js"} {
		if query == "filter" && language == "c" {
			continue
		}
		names = append(names, language+"-"+query)
		if names[len(names)-1] != "c-q1" { // the example bid-price has no such form
			names = append(names, language+"-"+query+"-fields")
		}
	}
	return names
}

func guest(b testing.TB, name string) *runtime.Guest {
	b.Helper()
	source := runtime.Source{Name: name}
	if query, ok := strings.CutPrefix(name, "js-"); ok {
		script, err := js.Compile(filepath.Join("js", query+".js"))
		if err != nil {
			b.Fatal(err)
		}
		source.Bytes, source.Dialect = js.Engine, script
	} else {
		module, err := os.ReadFile(filepath.Join("build", name+".wasm"))
		if err != nil {
			b.Fatalf("%v: make -C bench/guests", err)
		}
		source.Bytes = module
	}
	rt, err := runtime.New(b.Context(), runtime.Options{CacheDir: filepath.Join(os.TempDir(), "streamproc-guests"), Logger: slog.New(slog.DiscardHandler), Dialects: []runtime.Dialect{&js.Script{}}})
	if err != nil {
		b.Fatal(err)
	}
	plugin, err := rt.Load(b.Context(), source)
	if err != nil {
		b.Fatal(err)
	}
	g, err := plugin.NewGuest(b.Context(), runtime.Transform, "bench", runtime.Events{})
	if err != nil {
		b.Fatal(err)
	}
	return g
}
