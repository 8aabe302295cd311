package redpanda

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

func load(t testing.TB, file string, source runtime.Source, log *strings.Builder) *runtime.Plugin {
	t.Helper()
	wasm, err := os.ReadFile(guests + file + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = &strings.Builder{}
	}
	o := runtime.Options{Dialects: []runtime.Dialect{Dialect{}}, Logger: slog.New(slog.NewTextHandler(log, nil))}
	rt, err := runtime.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	source.Name, source.Bytes, source.Topics = "transform", wasm, []string{"in"}
	p, err := rt.Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func guest(t testing.TB, file string, source runtime.Source) *runtime.Guest {
	t.Helper()
	g, err := load(t, file, source, nil).NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

func batchOf(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte("k"), Value: []byte(v), Timestamp: 5000 - int64(i),
			Origin: stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: 100 + int64(i)}})
	}
	return b
}

// outcome writes one line per record: key, value, headers and sink, or its fate and cause.
func outcome(t testing.TB, g *runtime.Guest, b *stream.Batch) []string {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range b.Records {
		r := &b.Records[i]
		line := fmt.Sprintf("%s %s", text(r.Key), text(r.Value))
		for _, h := range r.Headers {
			line += fmt.Sprintf(" %s:%s", h.Key, text(h.Value))
		}
		if r.Sink != stream.NoSink {
			line += fmt.Sprintf(" to %d", r.Sink)
		}
		if r.Fate == stream.DeadLettered {
			line = "!" + string(r.Cause.Reason) + " " + r.Cause.Message
		} else if r.Fate != stream.Flowing {
			line = r.Fate.String()
		}
		out = append(out, line)
	}
	return out
}

func text(b []byte) string {
	if b == nil {
		return "null"
	}
	return string(b)
}

func check(t testing.TB, got []string, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) && !(got[i][0] == '!' && strings.Contains(got[i], want[i])) {
			t.Fatalf("line %d of\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestAModuleOfTheSDKRunsUnchanged(t *testing.T) {
	g := guest(t, "rust", runtime.Source{Outputs: []runtime.Output{{Name: "side", Sink: 7}}})
	b := batchOf("a", "drop", "thrice", "headers", "time", "side", "nothing", "")
	b.Records[3].Headers = []stream.Header{{Key: "x", Value: []byte("1")}, {Key: "y"}}
	b.Records[0].Headers = []stream.Header{{Key: "same", Value: []byte{}}, {Key: "null"}}
	check(t, outcome(t, g, b), "k a same: null:null", "filtered", "k 0", "k 1", "k 2", `null Ok("x")=Some(Ok("1")) Ok("y")=None added:1 null:null`,
		"null 4996 4996", "k side to 7", "k null", "k ")
	check(t, outcome(t, g, batchOf("next")), "k next")
	tombstone := batchOf("")
	tombstone.Records[0].Value, tombstone.Records[0].Key = nil, nil
	check(t, outcome(t, g, tombstone), "null null")
}

func TestAPanicCostsItsRecord(t *testing.T) {
	g := guest(t, "rust", runtime.Source{})
	var values, want []string
	for i := range 200 {
		v := fmt.Sprint("v", i)
		w := "k " + v
		switch i {
		case 17, 18, 199:
			v, w = "panic", "it wrote: thread 'main' (1) panicked at src/main.rs:16:27: | as it was told"
		case 100:
			v, w = "error", `transforming record failed: "as it was told"`
		case 50:
			v, w = "elsewhere", `!error the transform writes to the topic "elsewhere", and its step has no output of this name`
		}
		values, want = append(values, v), append(want, w)
	}
	check(t, outcome(t, g, batchOf(values...)), want...)
	check(t, outcome(t, g, batchOf("after")), "k after")
}

func TestTheEnvironmentIsTheConfigAndTheTopics(t *testing.T) {
	g := guest(t, "rust", runtime.Source{Config: json.RawMessage(`{"LEVEL":"high","n":5}`), Outputs: []runtime.Output{{Name: "side", Sink: 7}}})
	check(t, outcome(t, g, batchOf("environment")),
		"null transform LEVEL=high REDPANDA_INPUT_TOPIC=in REDPANDA_OUTPUT_TOPIC_0=output REDPANDA_OUTPUT_TOPIC_1=side n=5")
	for config, want := range map[string]string{
		`{"FAIL_TO_START":""}`:           "ended before it was ready",
		`{"A=B":""}`:                     "cannot be a variable",
		`{"REDPANDA_OUTPUT_TOPIC_0":""}`: "cannot be a variable",
		`["A"]`:                          "names and values",
	} {
		_, err := load(t, "rust", runtime.Source{Config: json.RawMessage(config)}, nil).NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
	if _, err := load(t, "rust", runtime.Source{}, nil).NewGuest(t.Context(), runtime.Filter, "step", runtime.Events{}); err == nil {
		t.Error("it is a filter")
	}
}

func TestTheWireIsAsVersion1HasIt(t *testing.T) {
	var log strings.Builder
	p := load(t, "odd", runtime.Source{}, &log)
	g, err := p.NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	check(t, outcome(t, g, batchOf("a", "-b", "-o", "-w", "-s", "-r", "-m", "-e", "c")),
		"k a", "null refused", "k -o", "null refused", "!contract the transform gave an address outside its memory for a write", "null off", "!error the transform asks for a schema registry, and there is none", "!fuel it spent more than the limit fuel", "!trap unreachable", "k c")
	check(t, outcome(t, g, batchOf("a", "-q", "c", "-l")), "k a", "!trap it ended instead of asking for more", "k c", "filtered")
	check(t, outcome(t, g, batchOf("-l", "a")), "filtered", "k a") // alone it leaves nothing unread
	if !strings.Contains(log.String(), "there is none") {
		t.Errorf("the log is %s", log.String())
	}
}

func FuzzReadPayload(f *testing.F) {
	f.Add([]byte{1, 1, 0})
	f.Add([]byte{2, 'k', 4, 'v', 'v', 2, 2, 'h', 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r stream.Record
		if !readPayload(&r, b) {
			return
		}
		out := make([]byte, payloadLen(&r))
		putPayload(out, &r)
		var again stream.Record
		if !readPayload(&again, out) || fmt.Sprint(again) != fmt.Sprint(r) {
			t.Fatalf("%x reads as %v, is written as %x and reads as %v", b, r, out, again)
		}
	})
}

// BenchmarkIdentity is the SDK's copy of each record, 1,000 records of 200 bytes a batch.
func BenchmarkIdentity(b *testing.B) {
	g := guest(b, "rust", runtime.Source{})
	guesttest.Time(b, g)
}

func TestAModuleThatLeaksIsRecycled(t *testing.T) {
	wasm, err := os.ReadFile(guests + "rust.wasm")
	if err != nil {
		t.Fatal(err)
	}
	start := guesttest.Leaking{Dialect: Dialect{}}.Start(t, runtime.Source{Name: "transform", Bytes: wasm, Topics: []string{"in"}}, runtime.Transform)
	guesttest.Recycled(t, start, func() *stream.Batch { return batchOf("a", "b", "c") })
}
