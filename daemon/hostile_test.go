package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/runtime"
)

// TestAPluginThatTrapsAtEverySecondRecordCostsThose has the others come out in their order, and the ledger close.
func TestAPluginThatTrapsAtEverySecondRecordCostsThose(t *testing.T) {
	p := newPlace(t, strings.NewReplacer("LIMITS", "", "FILE", writeMeasure(t, 0)).Replace(measuring), inAndOut(1))
	const pairs = 250
	var values, want, dead []string
	for i := range pairs {
		dead, want = append(dead, fmt.Sprint("t", i)), append(want, fmt.Sprint("x", i))
		values = append(values, dead[i], want[i])
	}
	p.feed("in", values...)
	s := p.until("guarded", func(s Status) bool { return s.Ledger.In == 2*pairs && s.Ledger.Held == 0 })
	if s.Ledger.Out != pairs || s.Ledger.DeadLettered != pairs || s.Difference != 0 {
		t.Errorf("the ledger is %+v, and differs by %d", s.Ledger, s.Difference)
	}
	if got := p.read("out", pairs); !slices.Equal(got, want) {
		t.Errorf("out came %v", got)
	}
	if got := p.read("guarded.dlq", pairs); !slices.Equal(got, dead) {
		t.Errorf("the dead letters are %v", got)
	}
}

// TestAModuleBehindALinkThatIsSwappedIsTheOneThatWasHashed has a link lead to the module of the digest and to another in turn, as fast as it
// can be turned, while a pipeline is built again and again: the other is never taken.
func TestAModuleBehindALinkThatIsSwappedIsTheOneThatWasHashed(t *testing.T) {
	dir := t.TempDir()
	link, modules := filepath.Join(dir, "link.wasm"), []string{filepath.Join(dir, "wanted.wasm"), filepath.Join(dir, "other.wasm")}
	for nested, file := range modules {
		if err := os.WriteFile(file, hostile.Measure(nested), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	turn := func(n int) {
		if err := errors.Join(os.Symlink(modules[n%2], link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Error(err)
		}
	}
	turn(0)
	engine, err := runtime.New(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(t.Context())
	use := &config.PluginUse{Plugin: &config.Plugin{Name: "p", Wasm: link, SHA256: artifact.Digest(hostile.Measure(0))}}
	b := &builder{log: slog.New(slog.DiscardHandler), whole: &config.Config{}, cfg: &config.Pipeline{}, engine: engine,
		plugins: map[*config.PluginUse]*runtime.Plugin{}, names: map[*config.PluginUse]string{}, trials: map[string]*atomic.Pointer[trial]{}}
	stop := make(chan struct{})
	var turning sync.WaitGroup
	turning.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				turn(n)
			}
		}
	})
	defer turning.Wait()
	defer close(stop)
	taken, refused := 0, 0
	for taken < 200 || refused < 200 {
		err := b.plugin(t.Context(), "step", use)
		switch {
		case err == nil && b.plugins[use].Digest() == use.Plugin.SHA256:
			taken++
			err = b.plugins[use].Close(t.Context())
		case errors.Is(err, runtime.ErrDigest):
			refused++
			err = nil
		case err == nil:
			err = fmt.Errorf("it takes %s", b.plugins[use].Digest())
		}
		if err != nil {
			t.Fatalf("after %d that were taken and %d that were refused: %v", taken, refused, err)
		}
	}
}
