package runtime

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// TestAttacksCostTheirRecord runs each attack between two records that are none, twice: what comes before and after is
// untouched, and so is the guest of a neighbour.
func TestAttacksCostTheirRecord(t *testing.T) {
	rt := newRuntime(t, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, a := range append(hostile.Attacks(), hostile.Dear()...) {
		t.Run(a.Name, func(t *testing.T) {
			p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: a.Module})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close(t.Context())
			g := startGuest(t, p, Filter, Events{})
			want := "k x k"
			if a.Reason != "" {
				want = "k !" + a.Reason + " k"
			}
			for range 2 {
				b := batch("k", "x", "k")
				process(t, g, b)
				if got := fates(b); got != want {
					t.Fatalf("fates are %s, want %s; cause %+v", got, want, b.Records[1].Cause)
				}
				if c := b.Records[1].Cause; a.Want != "" && !strings.Contains(c.Message, a.Want) {
					t.Errorf("%q lacks %q", c.Message, a.Want)
				}
			}
			if size := int64(g.instance.module.Memory().Size()); size > p.MemoryBytes() {
				t.Errorf("the memory is %d bytes", size)
			}
		})
	}
}

func TestAStartHasItsOwnBudget(t *testing.T) {
	for _, a := range hostile.Starts() {
		p := load(t, Source{Name: "p", Bytes: a.Module})
		if _, err := p.NewGuest(t.Context(), Filter, "s", Events{}); err == nil || !strings.Contains(err.Error(), a.Want) {
			t.Errorf("%s: error is %v, want one with %q", a.Name, err, a.Want)
		}
	}
}

func TestEightDeepRecursionsAtOnce(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, a := range hostile.Attacks() {
		if a.Reason != string(stream.ReasonDepth) {
			continue
		}
		p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: a.Module})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var wg sync.WaitGroup
		for range 8 {
			g := startGuest(t, p, Filter, Events{})
			wg.Go(func() {
				b := batch("k", "x")
				if err := g.Process(context.Background(), b); err != nil || fates(b) != "k !depth" {
					t.Errorf("%s: %v, %s", a.Name, err, fates(b))
				}
			})
		}
		wg.Wait()
		runtime.ReadMemStats(&after)
		// The engine keeps a call's stack in the heap, and doubles it by copying.
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 200<<20 {
			t.Errorf("%s: eight of them allocated %d MiB", a.Name, grown>>20)
		}
	}
}

// TestABigLogIsCut has every limit of the log in it.
func TestABigLogIsCut(t *testing.T) {
	var out bytes.Buffer
	rt := newRuntime(t, Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	for _, a := range hostile.Attacks() {
		if a.Name != "1 GB of log" {
			continue
		}
		p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: a.Module})
		if err != nil {
			t.Fatal(err)
		}
		process(t, startGuest(t, p, Filter, Events{}), batch("x"))
	}
	if n := out.Len(); n == 0 || n > 4*logCallBytes {
		t.Errorf("%d bytes were logged", n)
	}
	for _, want := range []string{"repeated", "suppressed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// watched is a guest's module that no host function may call into.
type watched struct {
	api.Module
	t *testing.T
}

func (w watched) ExportedFunction(name string) api.Function {
	w.t.Errorf("a host function asks for %s", name)
	return nil
}

// TestTheHostNeverCallsBack is what the count of depth rests on: imported functions are the leaves of the call graph.
func TestTheHostNeverCallsBack(t *testing.T) {
	g := guest(t, "cursor", Transform, Limits{}, Events{})
	m := watched{g.instance.module, t}
	g.instance.alloc, g.instance.call, g.instance.closing = nil, nil, nil
	for _, f := range hostFunctions {
		func() {
			defer func() {
				if r := recover(); r != nil {
					if _, ok := r.(*stop); !ok {
						t.Errorf("%s.%s panics with %v", f.module, f.name, r)
					}
				}
			}()
			g.begin(1)
			f.call(g, m, make([]uint64, 16))
		}()
	}
}

// TestMemoryDoesNotMove is what the resident memory of an attacker rests on: growing takes what is touched, and no copy.
func TestMemoryDoesNotMove(t *testing.T) {
	g := guest(t, "cursor", Transform, Limits{}, Events{})
	m := g.instance.module.Memory()
	before, ok := m.Read(0, 1)
	if !ok {
		t.Fatal("there is no memory")
	}
	before[0] = 42
	for n := 0; ; n++ {
		if _, ok := m.Grow(1); !ok {
			if n == 0 {
				t.Fatal("the memory did not grow")
			}
			break
		}
	}
	if after, ok := m.Read(0, 1); !ok || &after[0] != &before[0] {
		t.Error("the memory has moved")
	}
	if size := int64(m.Size()); size != g.plugin.MemoryBytes() {
		t.Errorf("it ends at %d bytes, the limit is %d", size, g.plugin.MemoryBytes())
	}
}

// TestAttackersGiveTheirMemoryBack runs those that take all the memory there is, or call as deep as they may, many times over: at no time
// is there the memory of two instances.
func TestAttackersGiveTheirMemoryBack(t *testing.T) {
	rt := newRuntime(t, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, a := range hostile.Attacks() {
		if !strings.Contains(a.Name, "memory") && !strings.HasPrefix(a.Name, "loads from") && a.Reason != string(stream.ReasonDepth) {
			continue
		}
		p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: a.Module})
		if err != nil {
			t.Fatal(err)
		}
		before := footprint(t)
		g := startGuest(t, p, Filter, Events{})
		forgetPeak(t)
		for range 5 {
			process(t, g, batch("k", "x"))
		}
		if grown := peak(t) - before.resident; grown > 50<<20 {
			t.Errorf("%s: the process had grown by %d MiB", a.Name, grown>>20)
		}
		if err := g.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if grown := footprint(t).resident - before.resident; grown > 16<<20 {
			t.Errorf("%s: the process has grown by %d MiB", a.Name, grown>>20)
		}
	}
}

// TestASuspectIsTriedOnceMore: what an attack costs is two calls, in a used instance and in a fresh one.
func TestASuspectIsTriedOnceMore(t *testing.T) {
	p := load(t, Source{Name: "p", Bytes: hostile.Attacks()[0].Module})
	traps := 0
	g := startGuest(t, p, Filter, Events{Trap: func(stream.Reason) { traps++ }})
	for _, values := range [][]string{{"k", "x", "k"}, {"x", "k"}, {"k", "k", "x"}} {
		traps = 0
		process(t, g, batch(values...))
		if traps != 2 {
			t.Errorf("%v: %d calls trapped", values, traps)
		}
	}
}
