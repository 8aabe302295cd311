package runtime

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/stream"
)

// answering is a plugin that puts one letter in the place of each value.
func answering(letter byte) []byte {
	var m hostile.Module
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, hostile.Const(1024)))
	m.Export("sp_map", m.Func("ii:I", 0, hostile.Code(
		hostile.Const(8), hostile.Const(int64(letter)), hostile.I32Store, 2, 0, hostile.I64Const, hostile.S(8<<32|1))))
	return m.Bytes()
}

// TestAThousandSwapsUnderLoadLoseNothing swaps two plugins back and forth while two guests work. Each batch is answered
// as a whole by one of them.
func TestAThousandSwapsUnderLoadLoseNothing(t *testing.T) {
	const swaps = 1000
	rt := newRuntime(t, Options{CacheDir: t.TempDir() + "/c"})
	source := func(i int) Source { return Source{Name: "p", Bytes: answering("ab"[i%2])} }
	p, err := rt.Load(t.Context(), source(0))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var seen [2]map[string]bool
	takenUp := [2]int{}
	for w := range 2 {
		seen[w] = map[string]bool{}
		g := startGuest(t, p, Transform, Events{Swapped: func(_ string, err error) {
			if err != nil {
				t.Errorf("swapping: %v", err)
			}
			takenUp[w]++
		}})
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				b := batch("1", "2", "3")
				if err := g.Process(context.Background(), b); err != nil {
					t.Error(err)
					return
				}
				seen[w][fates(b)] = true
			}
		})
	}
	before := footprint(t)
	current := p
	for i := range swaps {
		next, err := rt.Load(t.Context(), source(i+1))
		if err != nil {
			t.Fatal(err)
		}
		current.Replace(next)
		if err := current.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		current = next
		if i == swaps/10 {
			before = footprint(t)
		}
	}
	close(stop)
	wg.Wait()
	after := footprint(t)
	for w := range seen {
		delete(seen[w], "a a a")
		delete(seen[w], "b b b")
		if len(seen[w]) > 0 || takenUp[w] == 0 {
			t.Errorf("worker %d took up %d plugins, and answered a batch with %v", w, takenUp[w], seen[w])
		}
	}
	if after.goroutines > before.goroutines || after.resident > before.resident+32<<20 || len(rt.modules) > 3 {
		t.Errorf("before %+v, after %+v, %d modules", before, after, len(rt.modules))
	}
}

type usage struct {
	goroutines int
	resident   int
}

func footprint(t testing.TB) usage {
	runtime.GC()
	u := usage{goroutines: runtime.NumGoroutine()}
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Logf("resident memory is not compared: %v", err)
		return u
	}
	for _, c := range bytes.Fields(status)[1] {
		u.resident = u.resident*10 + int(c-'0')
	}
	u.resident *= os.Getpagesize()
	return u
}

// forgetPeak has the system count the largest resident memory from now on.
func forgetPeak(t testing.TB) {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		t.Logf("the peak of resident memory is not compared: %v", err)
	}
}

// peak is the largest resident memory since forgetPeak, in bytes.
func peak(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Logf("the peak of resident memory is not compared: %v", err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Fatalf("reading VmHWM: %v", err)
	}
	return n << 10
}

func TestAPluginThatDoesNotStartLeavesTheOldOne(t *testing.T) {
	rt := newRuntime(t, Options{})
	of := func(wasm []byte) *Plugin {
		p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasm})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var said []error
	p := of(answering('a'))
	g := startGuest(t, p, Transform, Events{Swapped: func(_ string, err error) { said = append(said, err) }})
	check := func(want string) {
		t.Helper()
		for range 2 {
			b := batch("1")
			process(t, g, b)
			if got := fates(b); got != want {
				t.Errorf("the answer is %s, want %s", got, want)
			}
		}
	}
	for _, broken := range [][]byte{hostile.Starts()[0].Module, wasmOf(t, "oddfilter")} {
		p.Replace(of(broken))
		check("a")
	}
	p.Replace(of(answering('b')))
	check("b")
	if len(said) != 3 || said[0] == nil || !strings.Contains(said[1].Error(), "use it as a filter") || said[2] != nil {
		t.Errorf("said %v", said)
	}
}

func TestASwapEndsThePauseOfABrokenPlugin(t *testing.T) {
	rt := newRuntime(t, Options{})
	of := func(wasm []byte) *Plugin {
		p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasm, Limits: Limits{Traps: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := of(wasmOf(t, "faulty"))
	g := startGuest(t, p, Transform, Events{})
	process(t, g, batch("t"))
	if err := g.Process(t.Context(), batch("k")); !errors.Is(err, stream.ErrUnavailable) {
		t.Fatalf("error is %v", err)
	}
	p.Replace(of(answering('b')))
	if err := p.Ready(); err != nil {
		t.Error(err)
	}
	b := batch("k")
	process(t, g, b)
	if got := fates(b); got != "b" {
		t.Error(got)
	}
}
