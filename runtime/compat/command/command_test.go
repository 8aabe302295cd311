package command

import (
	"context"
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

func start(t testing.TB, source runtime.Source) (*runtime.Guest, error) {
	t.Helper()
	wasm, err := os.ReadFile(guests + "lines.wasm")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{Dialect{}, Dialect{PerBatch: true}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	source.Name, source.Bytes = "lines", wasm
	p, err := rt.Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err == nil {
		t.Cleanup(func() { g.Close(context.Background()) })
	}
	return g, err
}

func outcome(t *testing.T, g *runtime.Guest, values ...string) string {
	t.Helper()
	b := &stream.Batch{}
	for _, v := range values {
		b.Records = append(b.Records, stream.Record{Value: []byte(v)})
		if v == "null" {
			b.Records[len(b.Records)-1].Value = nil
		}
	}
	return guesttest.Outcome(t, g, b)
}

func TestACommandAnswersLineByLine(t *testing.T) {
	g, err := start(t, runtime.Source{Config: json.RawMessage(`{"env":{"GREETING":"hi"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Check(t, outcome(t, g, "a", "drop", "null", "variable", "{\n\"b\":\n1}", "no\nJSON", ""), "A", "filtered", "null", "hi", `{ "B": 1}`,
		"!decode the value holds a line break, and is no JSON in which it would mean nothing", "filtered")
	guesttest.Check(t, outcome(t, g, "b"), "B")
}

func TestACommandThatFailsOnALineCostsItsRecord(t *testing.T) {
	g, err := start(t, runtime.Source{})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(outcome(t, g, "a", "trap", "b", "exit", "c", "2", "d", "quit", "x"), "\n")
	for i, want := range []string{"A", "it wrote: about to trap", "B", "!error the command ended with code 3; it wrote: told to leave", "C",
		"!contract the command wrote 2 lines for the 1 it read", "filtered", "!trap the plugin called proc_exit", "X"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("line %d: %q, want %q", i, got[i], want)
		}
	}
}

func TestManyLongLinesDoNotBlock(t *testing.T) {
	g, err := start(t, runtime.Source{})
	if err != nil {
		t.Fatal(err)
	}
	var values, want []string
	for i := range 60 {
		values = append(values, fmt.Sprint("x", i, strings.Repeat("y", 30_000)))
		want = append(want, strings.ToUpper(values[i]))
	}
	if got := outcome(t, g, values...); got != strings.Join(want, "\n") {
		t.Errorf("%d bytes came out of %d: %.200s", len(got), len(strings.Join(want, "\n")), got)
	}
}

func TestACommandRunsOnceForEachBatch(t *testing.T) {
	g, err := start(t, runtime.Source{ABI: "command-batch", Config: json.RawMessage(`{"args":["count"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Check(t, outcome(t, g, "a", "null", "b"), "2 a", "null", "2 b")
	guesttest.Check(t, outcome(t, g, "c"), "1 c")
	g, err = start(t, runtime.Source{ABI: "command-batch"})
	if err != nil {
		t.Fatal(err)
	}
	// A record that becomes several goes in alone; a code that is not 0 and a trap cost their records.
	got := strings.Split(outcome(t, g, "a", "2", "exit", "trap", "drop", "b", "q"), "\n")
	for i, want := range []string{"A", "first", "second", "!error the command ended with code 3; it wrote: told to leave", "it wrote: about to trap", "filtered", "B", "filtered"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("line %d: %q, want %q", i, got[i], want)
		}
	}
}

func TestACommandThatCannotStartSaysWhy(t *testing.T) {
	for config, want := range map[string]string{
		`{"args":["early"]}`:     "ended before it read a line",
		`{"arguments":["x"]}`:    "args, a list, and env",
		`{"args":["\u0000"]}`:    "zero byte",
		`{"env":{"A":"\u0000"}}`: "zero byte",
	} {
		if _, err := start(t, runtime.Source{Config: json.RawMessage(config)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", config, err)
		}
	}
}

// BenchmarkLines is a command's upper case of each line, 1,000 lines of 200 bytes a batch, in both forms.
func BenchmarkLines(b *testing.B) {
	for _, abi := range []string{"command", "command-batch"} {
		b.Run(abi, func(b *testing.B) {
			g, err := start(b, runtime.Source{ABI: abi})
			if err != nil {
				b.Fatal(err)
			}
			const n = 1000
			batch := &stream.Batch{}
			value := []byte(strings.Repeat("x", 200))
			for b.Loop() {
				batch.Reset()
				for range n {
					batch.Records = append(batch.Records, stream.Record{Value: value})
				}
				if err := g.Process(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

// leaking is a command that loses so many pages of memory in each batch.
type leaking struct {
	*session
	pages *uint32
}

func (l leaking) Process(ctx context.Context, c *runtime.Call) error {
	err := l.session.Process(ctx, c)
	l.host.Module.Memory().Grow(*l.pages)
	return err
}

type leakingDialect struct {
	Dialect
	pages *uint32
}

func (d leakingDialect) Open(h *runtime.Host) (runtime.Session, error) {
	s, err := d.Dialect.Open(h)
	if err != nil {
		return nil, err
	}
	return leaking{s.(*session), d.pages}, nil
}

func TestACommandThatLeaksIsRecycled(t *testing.T) {
	wasm, err := os.ReadFile(guests + "lines.wasm")
	if err != nil {
		t.Fatal(err)
	}
	pages := uint32(1)
	begin := guesttest.Leaking{Dialect: leakingDialect{pages: &pages}}.Start(t, runtime.Source{Name: "lines", Bytes: wasm}, runtime.Transform)
	guesttest.Recycled(t, begin, func() *stream.Batch { return guesttest.Batch("a", "drop", "b") })
}

// TestACommandThatRunsOnceForEachBatchIsNotRecycled: it has a new instance for each already, whatever that takes.
func TestACommandThatRunsOnceForEachBatchIsNotRecycled(t *testing.T) {
	wasm, err := os.ReadFile(guests + "lines.wasm")
	if err != nil {
		t.Fatal(err)
	}
	var pages uint32
	begin := guesttest.Leaking{Dialect: leakingDialect{Dialect{PerBatch: true}, &pages}}.Start(t, runtime.Source{Name: "lines", Bytes: wasm, Limits: runtime.Limits{MemoryBytes: 64 << 16}}, runtime.Transform)
	g, err := begin(runtime.Events{Recycled: func(int64, int64, int) { t.Error("it was recycled") }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	for range 10 {
		guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("a")), "A")
		pages = 60
	}
}
