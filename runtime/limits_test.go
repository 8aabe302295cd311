package runtime

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/stream"
)

// alone gives a guest one record, and wants that it passes, or the reason and a part of the message of why not.
func alone(t *testing.T, g *Guest, value, reason, message string) {
	t.Helper()
	b := batch(value)
	process(t, g, b)
	switch c := b.Records[0].Cause; {
	case reason == "" && b.Records[0].Fate != stream.Flowing:
		t.Errorf("%.20q comes to %s: %+v", value, fates(b), c)
	case reason != "" && (c == nil || string(c.Reason) != reason || !strings.Contains(c.Message, message)):
		t.Errorf("%.20q comes to %.40q, %+v, want %s: %s", value, fates(b), c, reason, message)
	}
}

// TestCallsOfTheHostAreCountedToTheLast has one record make one call less than it may, as many, and one more.
func TestCallsOfTheHostAreCountedToTheLast(t *testing.T) {
	rt := newRuntime(t, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, c := range []struct {
		most               int64
		module, name, kind string
		args               []int64
		message            string
	}{
		{hostCallsPerRecord, "sp1", "log", "iii:", []int64{1, 0, 1}, "more than 256 host calls per record"},
		{hostCallsPerRecord, "sp1", "error", "iii:", []int64{0, 0, 1}, "more than 256 host calls per record"},
		{wasiCallsFloor + hostCallsPerRecord, wasiModule, "sched_yield", ":i", nil, "more than 16640 WASI calls in one call"},
		{16, wasiModule, "random_get", "ii:i", []int64{0, randomPerCall / 16}, "more than 1048576 random bytes"},
	} {
		for n := c.most - 1; n <= c.most+1; n++ {
			p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: hostile.Calls(n, c.module, c.name, c.kind, c.args...), Limits: Limits{Fuel: maxFuel}})
			if err != nil {
				t.Fatal(err)
			}
			reason := ""
			if n > c.most {
				reason = "limit"
			}
			alone(t, startGuest(t, p, Filter, Events{}), "x", reason, c.message)
		}
	}
	p := load(t, Source{Name: "p", Bytes: hostile.Calls(1, wasiModule, "random_get", "ii:i", 0, randomPerCall+1)})
	alone(t, startGuest(t, p, Filter, Events{}), "x", "limit", "more than 1048576 random bytes")
}

// TestOutputsOfARecordAreCountedToTheLast has a record become one less than it may, as many, one more, and ten times as many.
func TestOutputsOfARecordAreCountedToTheLast(t *testing.T) {
	g := startGuest(t, example(t, "explode-items/explode_items.wasm"), Transform, Events{})
	for _, n := range []int{defaultOutputs - 1, defaultOutputs, defaultOutputs + 1, 10 * defaultOutputs} {
		b := batch("[1,2]", "["+strings.Repeat("7,", n-1)+"7]", "[3]")
		process(t, g, b)
		want := "1 2 " + strings.Repeat("7 ", n) + "3"
		if n > defaultOutputs {
			want = "1 2 !output 3"
		}
		if got := fates(b); got != want {
			t.Errorf("%d outputs came to %.60q", n, got)
		}
	}
}

// TestFuelIsCountedToTheUnit has a record cost one unit less than it may, as much, and one more.
func TestFuelIsCountedToTheUnit(t *testing.T) {
	spent := int64(0)
	g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Deep()}), Filter, Events{Fuel: func(n int64) { spent = n }})
	alone(t, g, "\x20", "", "")
	for _, limit := range []int64{spent + 1, spent, spent - 1} {
		g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Deep(), Limits: Limits{Fuel: limit}}), Filter, Events{})
		alone(t, g, "\x1f", "", "")
		if limit >= spent {
			alone(t, g, "\x20", "", "")
		} else {
			alone(t, g, "\x20", "fuel", fmt.Sprintf("limit fuel of %d units", limit))
		}
	}
}

// TestDepthIsCountedToTheCall has as many calls lie in one another as the limit says, and one more.
func TestDepthIsCountedToTheCall(t *testing.T) {
	for _, limit := range []int{99, 100, 101} {
		g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Deep(), Limits: Limits{Depth: limit}}), Filter, Events{})
		for calls := limit - 1; calls <= limit; calls++ {
			alone(t, g, string([]byte{byte(calls - 1)}), "", "")
		}
		alone(t, g, string([]byte{byte(limit)}), "depth", fmt.Sprintf("limit depth of %d", limit))
	}
}
