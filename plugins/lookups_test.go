package plugins_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
)

// TestSDKsAskTheHost runs testdata/lookups, which looks each record up, counts it, and asks for the time.
func TestSDKsAskTheHost(t *testing.T) { askTheHost(t, "testdata/lookups") }

func askTheHost(t *testing.T, dir string) {
	t.Helper()
	modules, err := filepath.Glob(filepath.Join(dir, "lookups_*.wasm"))
	if err != nil || len(modules) != 3 {
		t.Fatalf("there are modules of %q, %v", modules, err)
	}
	rt, err := runtime.New(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(context.Background()) })
	for _, module := range modules {
		t.Run(filepath.Base(module), func(t *testing.T) { asks(t, rt, file(t, module)) })
	}
}

// asks looks up a value, none, an empty one, and one that is larger than SDKs make room for at first.
func asks(t *testing.T, rt *runtime.Runtime, module []byte) {
	long, counted := strings.Repeat("long ", 2_000), int64(0)
	p, err := rt.Load(t.Context(), runtime.Source{Name: "lookups", Bytes: module, Metrics: []string{"seen"}, Lookups: &guesttest.Shelf{Values: map[string]string{"a": "größer", "none": "", "long": long}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	g, err := p.NewGuest(t.Context(), runtime.Transform, "lookups", runtime.Events{Metric: func(_ string, delta int64) { counted += delta }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	b := guesttest.Batch("a", "b", "none", "long", "a")
	guesttest.Check(t, guesttest.Outcome(t, g, b), "größer", "absent", "", long, "größer")
	if counted != 5 || b.Records[0].Timestamp != 1004 {
		t.Errorf("it has counted %d, at %d", counted, b.Records[0].Timestamp)
	}
}
