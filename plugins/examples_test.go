// Package plugins holds the SDKs and example plugins; its tests run every example against its wanted output.
package plugins

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// run hands every line of an example's input to a module as one batch, and returns the outputs as lines; a failed record is "!" with
// its reason and message.
func run(t *testing.T, rt *runtime.Runtime, wasm []byte, dir string) string {
	t.Helper()
	source := runtime.Source{Name: "example", Bytes: wasm, Topics: []string{"in"}}
	if config, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		source.Config = config
	}
	return runWith(t, rt, source, file(t, filepath.Join(dir, "in.jsonl")))
}

func runWith(t *testing.T, rt *runtime.Runtime, source runtime.Source, in []byte) string {
	t.Helper()
	ctx := context.Background()
	p, err := rt.Load(ctx, source)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(ctx)
	g, err := p.NewGuest(ctx, runtime.Transform, "step", runtime.Events{})
	if err != nil {
		g, err = p.NewGuest(ctx, runtime.Filter, "step", runtime.Events{})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(ctx)
	var b stream.Batch
	for i, line := range bytes.Split(bytes.TrimSuffix(in, []byte("\n")), []byte("\n")) {
		at := stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: int64(i)}
		b.Records = append(b.Records, stream.Record{Value: line, Timestamp: 1000 + int64(i), Origin: at})
	}
	if err := g.Process(ctx, &b); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, r := range b.Records {
		switch r.Fate {
		case stream.Flowing:
			out.Write(r.Value)
			out.WriteByte('\n')
		case stream.DeadLettered:
			out.WriteString("!" + string(r.Cause.Reason) + " " + r.Cause.Message + "\n")
		}
	}
	return out.String()
}

// TestExamplesGiveTheWantedOutput runs each committed module.
func TestExamplesGiveTheWantedOutput(t *testing.T) {
	modules, err := filepath.Glob("examples/*/*.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules found: %v", err)
	}
	rt, err := runtime.New(context.Background(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close(context.Background())
	for _, m := range modules {
		t.Run(filepath.Base(m), func(t *testing.T) {
			dir := filepath.Dir(m)
			got, want := run(t, rt, file(t, m), dir), string(file(t, filepath.Join(dir, "want.jsonl")))
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestQuakeAlertTakesAConfiguration(t *testing.T) {
	rt, err := runtime.New(context.Background(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close(context.Background())
	source := runtime.Source{Name: "quake-alert", Bytes: file(t, "examples/quake-alert/quake_alert.wasm"), Config: []byte(`{"least":5}`)}
	feature := func(mag string) string {
		return `{"id":"q","properties":{"mag":` + mag + `,"time":1,"updated":2}}` + "\n"
	}
	if got := runWith(t, rt, source, []byte(feature("4.9")+feature("5.1"))); strings.Count(got, "\n") != 1 || !strings.Contains(got, "5.1") {
		t.Errorf("least: 5 lets through\n%s", got)
	}
	source.Config = []byte(`{"lest":5}`)
	p, err := rt.Load(context.Background(), source)
	if err == nil {
		defer p.Close(context.Background())
		_, err = p.NewGuest(context.Background(), runtime.Transform, "step", runtime.Events{})
	}
	if err == nil || !strings.Contains(err.Error(), "lest") {
		t.Errorf("an unknown setting is refused with %v", err)
	}
}

func TestRekeyTakesTheKeyFromTheValue(t *testing.T) {
	ctx := context.Background()
	rt, err := runtime.New(ctx, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close(ctx)
	p, err := rt.Load(ctx, runtime.Source{Name: "rekey", Bytes: file(t, "examples/rekey/rekey.wasm"), Config: []byte(`{"field":"user"}`)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.NewGuest(ctx, runtime.Transform, "step", runtime.Events{})
	if err != nil {
		t.Fatal(err)
	}
	b := stream.Batch{Records: []stream.Record{{Key: []byte("old"), Value: []byte(`{"user":"anna"}`), Headers: []stream.Header{{Key: "h"}}}}}
	if err := g.Process(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if r := b.Records[0]; string(r.Key) != "anna" || string(r.Value) != `{"user":"anna"}` || len(r.Headers) != 1 {
		t.Errorf("it became %s: %s with %d headers", r.Key, r.Value, len(r.Headers))
	}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
