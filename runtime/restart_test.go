package runtime

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/stream"
)

// TestAGuestThatDoesNotStartAnewIsNotCalled: its memory is gone with the instance, and a call would end the process.
func TestAGuestThatDoesNotStartAnewIsNotCalled(t *testing.T) {
	p := load(t, Source{Name: "p", Bytes: hostile.StartsOnce()})
	g := startGuest(t, p, Filter, Events{})
	process(t, g, batch("k"))
	for _, values := range [][]string{{"k", "x"}, {"k", "k"}, {"k", "k"}} {
		if err := g.Process(t.Context(), batch(values...)); !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "sp_init refused") {
			t.Fatalf("after %v the error is %v", values, err)
		}
		if !g.instance.module.IsClosed() {
			t.Fatal("an instance that has not started is there")
		}
	}
	p.Replace(load(t, Source{Name: "p", Bytes: hostile.Attacks()[0].Module}))
	b := batch("k", "k")
	process(t, g, b)
	if got := fates(b); got != "k k" {
		t.Errorf("with what took its place the fates are %s", got)
	}
}

// TestAnEmptyOutputIsNotNull is the first output of a guest, when there is no block yet that outputs are copied into.
func TestAnEmptyOutputIsNotNull(t *testing.T) {
	var m hostile.Module
	m.Memory(1, -1)
	m.Export("sp_abi_v1", m.Func(":", 0, nil))
	m.Export("sp_alloc", m.Func("i:i", 0, hostile.Const(8)))
	m.Export("sp_map", m.Func("ii:I", 0, hostile.Code(hostile.I64Const, hostile.S(8<<32))))
	g := startGuest(t, load(t, Source{Name: "p", Bytes: m.Bytes()}), Transform, Events{})
	b := batch("a")
	process(t, g, b)
	if v := b.Records[0].Value; v == nil || len(v) > 0 {
		t.Errorf("the value is %q, null: %v", v, v == nil)
	}
}
