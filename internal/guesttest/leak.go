package guesttest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Leaking is a Dialect whose guests lose a page of memory whenever they call a function of it.
type Leaking struct{ runtime.Dialect }

// Functions implements runtime.Dialect.
func (l Leaking) Functions() []runtime.HostFunction {
	list := l.Dialect.Functions()
	for i := range list {
		list[i].Call = losing(list[i].Call)
	}
	return list
}

// losing is a function of the host that takes a page of the guest's memory.
func losing[Module interface{ Memory() Memory }, Memory interface{ Grow(uint32) (uint32, bool) }](call func(runtime.Session, Module, []uint64)) func(runtime.Session, Module, []uint64) {
	return func(s runtime.Session, m Module, stack []uint64) {
		call(s, m, stack)
		m.Memory().Grow(1)
	}
}

// Start loads a module of the dialect, and returns what starts a guest of it.
func (l Leaking) Start(t testing.TB, s runtime.Source, mode runtime.Mode) func(runtime.Events) (*runtime.Guest, error) {
	t.Helper()
	rt, err := runtime.New(t.Context(), runtime.Options{Dialects: []runtime.Dialect{l}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close(context.Background()) })
	s.Dialect = l
	p, err := rt.Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return func(e runtime.Events) (*runtime.Guest, error) { return p.NewGuest(t.Context(), mode, "step", e) }
}

// recycles is how often a plugin that leaks has to be started anew while it is tried.
const recycles = 2

// Recycled gives batches to a plugin that leaks until its memory would have been full some times. No call may trap, and each batch has
// to come to what the first has come to.
func Recycled(t testing.TB, start func(runtime.Events) (*runtime.Guest, error), batch func() *stream.Batch) {
	t.Helper()
	traps, recycled, records := 0, 0, 0
	g, err := start(runtime.Events{
		Trap:     func(stream.Reason) { traps++ },
		Recycled: func(int64, int64, int) { recycled++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close(context.Background()) }()
	for want := ""; recycled < recycles; {
		b := batch()
		records += len(b.Records)
		got := Outcome(t, g, b)
		if want == "" {
			want = got
		}
		if got != want || traps > 0 {
			t.Fatalf("after %d records and %d recyclings %d calls have trapped, and a batch came to\n%s\nand not to\n%s", records, recycled, traps, got, want)
		}
		if records > 1_000_000 {
			t.Fatalf("it was recycled %d times in %d records", recycled, records)
		}
	}
}
