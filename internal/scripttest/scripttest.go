// Package scripttest is what the tests of scripts in any language have in common: a folder of scripts, and a runtime that
// starts them.
package scripttest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Language is how scripts are read, and by what they run.
type Language struct {
	Dialect  runtime.Dialect
	Read     func(file string) (runtime.Dialect, error)
	Engine   []byte
	File     string // name of the script under test
	CacheDir string // for the engine's machine code; "": that of Main
}

// Rig is one runtime for a test, and the folder of its scripts.
type Rig struct {
	testing.TB
	Language
	Dir     string
	Log     strings.Builder
	Traps   int
	runtime *runtime.Runtime
}

// cacheDir keeps the machine code of engines for all tests of a package.
var cacheDir string

// Main runs the tests of a package with a cache of its own.
func Main(m *testing.M) int {
	var err error
	if cacheDir, err = os.MkdirTemp("", "streamproc-scripts-"); err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(cacheDir)
	return m.Run()
}

// New makes a rig.
func New(t testing.TB, l Language) *Rig {
	t.Helper()
	r := &Rig{TB: t, Language: l, Dir: t.TempDir()}
	if r.CacheDir == "" {
		r.CacheDir = cacheDir
	}
	var err error
	r.runtime, err = runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{l.Dialect}, CacheDir: r.CacheDir,
		Logger: slog.New(slog.NewTextHandler(&r.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.runtime.Close(context.Background()) })
	return r
}

// Write puts a file into the folder.
func (r *Rig) Write(name, text string) string {
	r.Helper()
	file := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	return file
}

// Setting changes how a script is started.
type Setting func(runtime.Dialect, *runtime.Source)

// Config gives the script a configuration.
func Config(c string) Setting {
	return func(_ runtime.Dialect, s *runtime.Source) { s.Config = json.RawMessage(c) }
}

// Start starts a script as a plugin of a step.
func (r *Rig) Start(text string, mode runtime.Mode, settings ...Setting) (*runtime.Guest, error) {
	r.Helper()
	return r.start(text, mode, runtime.Events{Trap: func(stream.Reason) { r.Traps++ }}, settings...)
}

func (r *Rig) start(text string, mode runtime.Mode, events runtime.Events, settings ...Setting) (*runtime.Guest, error) {
	r.Helper()
	script, err := r.Read(r.Write(r.File, text))
	if err != nil {
		return nil, err
	}
	source := runtime.Source{Name: "price", Bytes: r.Engine, Dialect: script, Topics: []string{"t"}}
	for _, set := range settings {
		set(script, &source)
	}
	p, err := r.runtime.Load(r.Context(), source)
	if err != nil {
		return nil, err
	}
	g, err := p.NewGuest(r.Context(), mode, "step", events)
	if err == nil {
		r.Cleanup(func() { _ = g.Close(context.Background()) })
	}
	return g, err
}

// Recycled has a script leak some memory for each record, until it would have been full some times: see guesttest.Recycled.
func (r *Rig) Recycled(text string, settings ...Setting) {
	r.Helper()
	guesttest.Recycled(r.TB, func(e runtime.Events) (*runtime.Guest, error) {
		return r.start(text, runtime.Transform, e, settings...)
	},
		func() *stream.Batch { return guesttest.Batch("1", "2", "3", "4", "5", "6", "7", "8", "9", "10") })
}

// Filled has a script keep its record n, which may be of any memory, and fill its memory at 0, under a limit of so many bytes: a full memory
// costs its record alone, however often, and leaves the next all that they may have.
func (r *Rig) Filled(text string, memory int64) {
	r.Helper()
	g := r.Guest(text, func(_ runtime.Dialect, s *runtime.Source) { s.Limits.MemoryBytes = memory })
	for n := range 4 {
		got := strings.Split(guesttest.Outcome(r.TB, g, guesttest.Batch("1", "0", "1", "0", "0", "1")), "\n")
		for i, want := range []string{"1", "!limit", "1", "!limit", "!limit", "1"} {
			if !strings.HasPrefix(got[i], want) {
				r.Errorf("with a limit of %d bytes, in batch %d record %d comes to %q, want %q", memory, n, i, got[i], want)
			}
		}
	}
}

// Guest is a script as a transform, which has to start.
func (r *Rig) Guest(text string, settings ...Setting) *runtime.Guest {
	r.Helper()
	g, err := r.Start(text, runtime.Transform, settings...)
	if err != nil {
		r.Fatal(err)
	}
	return g
}
