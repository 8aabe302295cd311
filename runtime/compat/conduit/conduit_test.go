package conduit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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

func load(t testing.TB, module, config string, log *strings.Builder) *runtime.Plugin {
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
	digest := sha256.Sum256(wasm)
	p, err := rt.Load(t.Context(), runtime.Source{Name: "processor", Bytes: wasm, Config: json.RawMessage(config), Outputs: []runtime.Output{{Name: "side", Sink: 7}},
		SHA256: hex.EncodeToString(digest[:]), Limits: runtime.Limits{Large: true}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func guest(t testing.TB, module string, mode runtime.Mode) *runtime.Guest {
	t.Helper()
	g, err := load(t, module, `{"letter":"a"}`, &strings.Builder{}).NewGuest(t.Context(), mode, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

func batchOf(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte("k"), Value: []byte(v), Timestamp: 5000 + int64(i),
			Headers: []stream.Header{{Key: "h", Value: []byte("1")}, {Key: "null"}},
			Origin:  stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: 100 + int64(i)}})
		if v == "null" {
			b.Records[i].Value = nil
		}
	}
	return b
}

func text(b []byte) string {
	if b == nil {
		return "null"
	}
	return string(b)
}

func check(t *testing.T, g *runtime.Guest, b *stream.Batch, want ...string) {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range b.Records {
		r := &b.Records[i]
		line := text(r.Key) + "=" + text(r.Value)
		for _, h := range r.Headers {
			line += " " + h.Key + ":" + text(h.Value)
		}
		if r.Sink != stream.NoSink {
			line += fmt.Sprintf(" to %d", r.Sink)
		}
		if r.Fate == stream.DeadLettered {
			line = "!" + string(r.Cause.Reason) + " " + r.Cause.Message
		} else if r.Fate != stream.Flowing {
			line = r.Fate.String()
		}
		got = append(got, strings.Replace(line, " h:1 null:null", "", 1))
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !fits(got[i], want[i]) {
			t.Fatalf("line %d of\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// fits compares a line with one that is wanted, of a failure its reason and a part of its message.
func fits(got, want string) bool {
	reason, message, _ := strings.Cut(want, " ")
	return got == want || want[0] == '!' && strings.HasPrefix(got, reason+" ") && strings.Contains(got, message)
}

func TestAProcessorRunsUnchanged(t *testing.T) {
	g := guest(t, "told", runtime.Transform)
	check(t, g, batchOf("a", "drop", "error", "twice", "nothing", "rekey", "unkey", "empty", "delete", "struct", "side", "metadata", "null", ""),
		"k=a", "filtered", "!error as it was told", "k=twice", "k=twice", "filtered", "new=rekey", "null=unkey", "k=", "null=null",
		`k={"a":"<","b":1.5}`, "k=side to 7", "k=metadata h:changed null:null new:1", "k=null", "k=")
	check(t, g, batchOf("tell"), "k=in/0@100 1 h=1= null== opencdc.collection=in= opencdc.createdAt=5000000000= opencdc.readAt=5000000000= opencdc.version=v1=   !")
	check(t, g, batchOf("astray", "nan", "junk", "b"), `!error its step has no output of the name of its collection "astray"`,
		"!contract json: unsupported value: NaN", "!contract it is no protocol buffer", "k=b")
	b := batchOf("a", "b")
	b.Records[0].Headers[0].Value = []byte{0xff}
	check(t, g, b, `!decode the header "h" is no UTF-8`, "k=b")
}

func TestAFilterKeepsRecordsAsTheyWere(t *testing.T) {
	g := guest(t, "told", runtime.Filter)
	check(t, g, batchOf("a", "drop", "rekey", "error", "twice"), "k=a", "filtered", "k=rekey", "!error as it was told", "!contract use it as a transform")
}

func TestAFailureCostsItsRecord(t *testing.T) {
	g := guest(t, "told", runtime.Transform)
	values, want := []string{}, []string{}
	for i := range 200 {
		values, want = append(values, fmt.Sprint("v", i)), append(want, fmt.Sprint("k=v", i))
	}
	for i, f := range map[int][2]string{
		0: {"last", "!error as it was told"}, 3: {"trap", "!trap unreachable"}, 4: {"last", "!error as it was told"}, 5: {"last", "!error as it was told"},
		17: {"loop", "!fuel it spent more than the limit fuel"}, 40: {"stop", "!contract the processor does not answer the record"},
		60: {"silent", "!contract before it answered this one"}, 61: {"leave", "!trap the processor ended: told to leave"}, 62: {"quiet", "!trap it does not say why"},
		80: {"fail", "!error told to fail"}, 100: {"garbage", "!contract response cannot be read"}, 101: {"outside", "!contract before it answered this one"},
		120: {"again", "!contract answers a command twice"}, 140: {"more", "!contract it has more answers than there were records"}, 150: {"batch", "k=batch"},
		170: {"schema", "!error internal error; the processor asks for a schema registry, and there is none"},
		171: {"http", "!error internal error; the processor asks for HTTP, and there is none"}, 199: {"error", "!error as it was told"},
	} {
		values[i], want[i] = f[0], f[1]
	}
	check(t, g, batchOf(values...), want...)
	check(t, g, batchOf("after"), "k=after")
}

func TestAProcessorThatStopsAtEachErrorIsAskedOnInSmallerParts(t *testing.T) {
	calls := 0
	g, err := load(t, "told", `{"letter":"a"}`, &strings.Builder{}).NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{Trap: func(stream.Reason) { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	values, want := make([]string, 1000), make([]string, 1000)
	for i := range values {
		values[i], want[i] = "last", "!error as it was told"
	}
	check(t, g, batchOf(values...), want...)
	if calls != 0 {
		t.Errorf("%d calls failed as a whole", calls)
	}
}

func TestTheProcessorsLogIsThePlugins(t *testing.T) {
	var log strings.Builder
	g, err := load(t, "told", `{"letter":"a"}`, &log).NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, g, batchOf("log"), "k=log")
	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`level=WARN msg="told to log: why"`, `level=INFO msg="no JSON"`, `level=INFO msg="torn down"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in the log:\n%s", want, log.String())
		}
	}
}

func TestAProcessorThatDoesNotStartSaysWhy(t *testing.T) {
	for config, want := range map[string]string{"": "the command configure: letter is missing", `["letter"]`: "names and values"} {
		_, err := load(t, "told", config, &strings.Builder{}).NewGuest(t.Context(), runtime.Transform, "step", runtime.Events{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("config %q: error is %v", config, err)
		}
	}
}

func TestAProcessorHasFuelForItsFirstRecord(t *testing.T) {
	if fuel := load(t, "told", "", &strings.Builder{}).Fuel(); fuel != 50_000_000 {
		t.Errorf("a record may spend %d", fuel)
	}
}

func TestStructuredDataAreBounded(t *testing.T) {
	var b []byte
	for range 2 * maxDepth {
		b = message(nil, 1, message(message(nil, 1, []byte("a")), 2, message(nil, valueStruct, b)))
	}
	if _, err := structJSON(b); err == nil || !strings.Contains(err.Error(), "nested too deep") {
		t.Errorf("got %v, want one about the depth", err)
	}
}

func TestAResponseIsBounded(t *testing.T) {
	many := func(n int, one []byte) []byte { return bytes.Repeat(one, n) }
	filter := message(nil, 1, message(nil, proFilter, nil))
	if r, err := readResponse(message(nil, resProcess, many(3, filter)), 3); err != nil || len(r.answers) != 3 {
		t.Errorf("%d answers, %v", len(r.answers), err)
	}
	if _, err := readResponse(message(nil, resProcess, many(4, filter)), 3); !errors.Is(err, errAnswers) {
		t.Errorf("four answers for three records: %v", err)
	}
	if _, err := readAnswer(message(nil, proMulti, many(maxRecords+1, message(nil, 1, nil)))); !errors.Is(err, errRecords) {
		t.Errorf("many records: %v", err)
	}
	var metadata []byte
	for i := range maxMetadata + 1 {
		metadata = entry(metadata, recMetadata, fmt.Sprint(i), "")
	}
	if _, err := readRecord(metadata); !errors.Is(err, errMetadata) {
		t.Errorf("much metadata: %v", err)
	}
	list := message(nil, valueList, many(maxValues+1, message(nil, 1, nil)))
	if _, err := structJSON(message(nil, 1, message(appendText(nil, 1, "a"), 2, list))); !errors.Is(err, errValues) {
		t.Errorf("many values: %v", err)
	}
}

func FuzzReadResponse(f *testing.F) {
	var r stream.Record
	r.Value = []byte("v")
	f.Add(message(nil, resProcess, message(nil, 1, message(nil, proSingle, appendRecord(nil, &r)))))
	f.Add(message(nil, resError, appendText(nil, errorMessage, "why")))
	f.Fuzz(func(_ *testing.T, b []byte) {
		r, err := readResponse(b, 3)
		if err != nil {
			return
		}
		for _, a := range r.answers {
			for _, one := range a.records {
				_, _ = readRecord(one)
			}
		}
	})
}

// BenchmarkIdentity is a processor in C that copies each record, 1,000 records of 200 bytes a batch.
func BenchmarkIdentity(b *testing.B) { guesttest.Time(b, guest(b, "told", runtime.Transform)) }

func TestAProcessorThatLeaksIsRecycled(t *testing.T) {
	wasm, err := os.ReadFile(guests + "told.wasm")
	if err != nil {
		t.Fatal(err)
	}
	start := guesttest.Leaking{Dialect: Dialect{}}.Start(t, runtime.Source{Name: "processor", Bytes: wasm, Config: json.RawMessage(`{"letter":"a"}`), Limits: Dialect{}.Defaults()}, runtime.Transform)
	guesttest.Recycled(t, start, func() *stream.Batch { return batchOf("a", "drop", "b") })
}
