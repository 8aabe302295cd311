package logs

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written is a log in a buffer, without times.
type written struct {
	mu sync.Mutex
	bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(p)
}

func (w *written) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Split(strings.TrimSpace(w.String()), "\n")
}

func newLog() (*slog.Logger, *Fold, *written) {
	w := &written{}
	f := NewFold(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return slog.New(f), f, w
}

func TestRepeatsAreFoldedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f, w := newLog()
		defer f.Close()
		for i := range burst + 342 {
			log.Warn("record went to the dead letters", "pipeline", "p", "reason", "trap", "record", fmt.Sprintf("in/0@%d", i))
		}
		if n := len(w.lines()); n != burst {
			t.Fatalf("%d lines at once, want %d", n, burst)
		}
		<-time.After(window + time.Second)
		lines := w.lines()
		last := lines[len(lines)-1]
		if len(lines) != burst+1 || !strings.Contains(last, `repeated="342 more in 10s"`) || !strings.Contains(last, "record=in/0@344") {
			t.Errorf("%d lines, the last is %s", len(lines), last)
		}
	})
}

func TestAFloodIsOneLineAWindowAndThenTheLogIsAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f, w := newLog()
		defer f.Close()
		for range 30 { // half a minute
			for range 100 {
				log.Warn("again")
			}
			<-time.After(time.Second)
		}
		if n := len(w.lines()); n < burst+2 || n > burst+3 {
			t.Errorf("%d lines for half a minute", n)
		}
		<-time.After(3 * window) // it is quiet
		before := len(w.lines())
		log.Warn("again")
		if n := len(w.lines()); n != before+1 {
			t.Errorf("a line after a pause is held back")
		}
	})
}

func TestWhatAnOperatorTellsApartIsKeptApart(t *testing.T) {
	log, f, w := newLog()
	for _, p := range []string{"a", "b"} {
		of := log.With("pipeline", p)
		for range burst {
			of.Warn("stalled", "step", "x")
			of.Warn("stalled", "step", "y")
			of.Error("stalled", "step", "x")
			of.WithGroup("g").Warn("stalled", "step", "x")
		}
	}
	if n := len(w.lines()); n != 8*burst {
		t.Errorf("%d lines, want all %d", n, 8*burst)
	}
	f.Close()
}

func TestCloseSaysWhatIsLeftWithTheAttributesOfItsLogger(t *testing.T) {
	log, f, w := newLog()
	of := log.With("pipeline", "p")
	for range burst + 2 {
		of.Warn("again", "step", "s")
	}
	f.Close()
	lines := w.lines()
	last := lines[len(lines)-1]
	for _, want := range []string{"level=WARN", "msg=again", "pipeline=p", "step=s", `repeated="2 more in 0s"`} {
		if !strings.Contains(last, want) {
			t.Errorf("%s is missing in %s", want, last)
		}
	}
}

func TestKindsAreBounded(t *testing.T) {
	log, f, w := newLog()
	for i := range 3 * maxKinds {
		log.Info(fmt.Sprintf("line %d", i))
	}
	if n := len(f.kinds.open); n > maxKinds {
		t.Errorf("%d kinds are remembered", n)
	}
	if n := len(w.lines()); n != 3*maxKinds {
		t.Errorf("%d lines", n)
	}
	f.Close()
}

func TestManyMayLogAtOnce(t *testing.T) {
	log, f, w := newLog()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			of := log.With("pipeline", "p")
			for range 1000 {
				of.Warn("again")
			}
		})
	}
	wg.Wait()
	f.Close()
	lines := w.lines()
	if len(lines) != burst+1 || !strings.Contains(lines[burst], fmt.Sprintf("repeated=\"%d more", 8000-burst)) {
		t.Errorf("%d lines, the last %s", len(lines), lines[len(lines)-1])
	}
}
