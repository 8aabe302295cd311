package runtime

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/stream"
)

func TestABrokenPluginPauses(t *testing.T) {
	wasm := wasmOf(t, "faulty")
	synctest.Test(t, func(t *testing.T) {
		var pauses []time.Duration
		p := load(t, Source{Name: "p", Bytes: wasm, Limits: Limits{Traps: 4}})
		g := startGuest(t, p, Filter, Events{Broken: func(d time.Duration, last *stream.Cause) {
			pauses = append(pauses, d)
			if last.Reason != stream.ReasonTrap {
				t.Errorf("the last one is %+v", last)
			}
		}})
		poison := func() *stream.Batch { return batch("t", "t", "t") }
		process(t, g, poison())
		b := poison()
		process(t, g, b) // the batch is finished: what failed in it is in the dead letters
		if got := fates(b); got != "!trap !trap !trap" {
			t.Error(got)
		}
		err := g.Process(t.Context(), batch("k"))
		if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "4 records in a row failed, which is the limit traps, the last one with trap: unreachable") {
			t.Errorf("while it pauses: %v", err)
		}
		if err := p.Ready(); err == nil {
			t.Error("it is said to be ready")
		}
		<-time.After(firstPause)
		process(t, g, poison())
		process(t, g, poison())
		if p.Ready() == nil {
			t.Error("it did not pause again")
		}
		<-time.After(2 * firstPause)
		process(t, g, batch("k", "t", "t", "t"))
		process(t, g, poison())
		if len(pauses) != 3 || pauses[0] != firstPause || pauses[1] != 2*firstPause || pauses[2] != firstPause {
			t.Errorf("the pauses are %v: a good record ends it", pauses)
		}
	})
}

func TestPoisonAmongGoodRecordsDoesNotPause(t *testing.T) {
	g := guest(t, "faulty", Filter, Limits{Traps: 2}, Events{Broken: func(time.Duration, *stream.Cause) { t.Error("it pauses") }})
	for range 5 {
		b := batch("t", "k", "t", "k", "f", "f", "f")
		process(t, g, b)
		if got := fates(b); got != "!trap k !trap k !error !error !error" {
			t.Error(got)
		}
	}
}
