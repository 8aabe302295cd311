package scripttest

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Lookups wants three scripts to look keys up: one gives for a key its value's first five letters and its length, or "none",
// one reads where it may have been given nothing, and one reads before there are records.
func Lookups(t *testing.T, r *Rig, script, plain, early string) {
	t.Helper()
	shelf := &guesttest.Shelf{Values: map[string]string{"1": "größer", "empty": "", "long": strings.Repeat("long ", 20_000)}}
	reading := func(_ runtime.Dialect, s *runtime.Source) { s.Lookups = shelf }
	g := r.Guest(script, reading)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("1", "2", `"empty"`, `"long"`, "1")), `["größe",6]`, `"none"`, `["",0]`, `["long ",100000]`, `["größe",6]`)
	shelf.Away = true
	b := guesttest.Batch("1", "2")
	if err := g.Process(t.Context(), b); !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), `looks up "1"`) {
		t.Errorf("with a store that is away: %v", err)
	}
	shelf.Away = false
	guesttest.Check(t, guesttest.Outcome(t, g, b), `["größe",6]`, `"none"`)
	got := guesttest.Outcome(t, g, guesttest.Batch(`"`+strings.Repeat("k", 600)+`"`, "1"))
	if !strings.HasPrefix(got, "!limit kv_get: the key of 600 bytes") || !strings.HasSuffix(got, "\n"+`["größe",6]`) {
		t.Errorf("a key that is too long: %s", got)
	}
	if got := guesttest.Outcome(t, r.Guest(plain), guesttest.Batch("1")); !strings.HasPrefix(got, "!error price.") || !strings.Contains(got, "kv: { store: NAME, prefix: TEXT }") {
		t.Errorf("where there is nothing to read it says %s", got)
	}
	if _, err := r.Start(early, runtime.Transform, reading); err == nil || !strings.Contains(err.Error(), "is for records") {
		t.Errorf("at its start it says %v", err)
	}
}
