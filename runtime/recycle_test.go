package runtime

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/stream"
)

// leak is a guest of hostile.Leaks under a limit of 64 pages, and what was told of it.
type leak struct {
	*Guest
	given, ended, traps int
	recycled            []int64 // pages that it had grown to
}

func leaks(t *testing.T, pages int64, s Source) *leak {
	t.Helper()
	l := &leak{}
	s.Name, s.Metrics, s.Limits.MemoryBytes = "p", []string{"given", "ended"}, 64*pageBytes
	if s.Bytes == nil {
		s.Bytes = hostile.Leaks(pages, false)
	}
	l.Guest = startGuest(t, load(t, s), Filter, Events{
		Trap:     func(stream.Reason) { l.traps++ },
		Innocent: func() { t.Error("a call failed that no record was to blame for") },
		Recycled: func(bytes, limit int64, _ int) {
			if limit != 64*pageBytes {
				t.Errorf("the limit is said to be %d", limit)
			}
			l.recycled = append(l.recycled, bytes/pageBytes)
		},
		Metric: func(name string, n int64) {
			if name == "given" {
				l.given += int(n)
			} else {
				l.ended += int(n)
			}
		},
	})
	return l
}

// take gives it one record after the other, each a batch, that take so many pages.
func (l *leak) take(t *testing.T, pages ...byte) {
	t.Helper()
	for _, n := range pages {
		b := batch(string([]byte{n}))
		process(t, l.Guest, b)
		if b.Records[0].Fate != stream.Flowing {
			t.Fatalf("after %d of its records one that takes %d pages came to %s", l.given, n, fates(b))
		}
	}
}

// TestAPluginThatLeaksIsRecycledBetweenBatches gives one 31 times the records that fill its memory. None of them traps, and each is given once.
func TestAPluginThatLeaksIsRecycledBetweenBatches(t *testing.T) {
	l := leaks(t, 1, Source{})
	const batches, each = 400, 5
	for n := range batches {
		values := slices.Repeat([]string{"\x01"}, each)
		b := batch(values...)
		process(t, l.Guest, b)
		if got := fates(b); got != strings.Join(values, " ") {
			t.Fatalf("batch %d came to %q", n, got)
		}
	}
	if l.traps > 0 || l.given != batches*each {
		t.Errorf("of %d records %d were given, and %d calls trapped", batches*each, l.given, l.traps)
	}
	const lasts = 12 // batches, after which 61 of 64 pages are taken
	if want := slices.Repeat([]int64{1 + lasts*each}, (batches-1)/lasts); !slices.Equal(l.recycled, want) || l.ended != len(want) || l.Lives() != 1+len(want) {
		t.Errorf("it was recycled at %v pages, told of its end %d times, and has had %d lives; want %v", l.recycled, l.ended, l.Lives(), want)
	}
}

// TestOnlyWhatLeaksIsRecycled has each side of each limit: of 64 pages 56 are seven eighths, and 32 half.
func TestOnlyWhatLeaksIsRecycled(t *testing.T) {
	for name, c := range map[string]struct {
		pages int64
		takes []byte // batch by batch
		lives int    // after them, and one more that takes nothing
	}{
		"to seven eighths":                                 {1, []byte{0, 55}, 1},
		"a page beyond":                                    {1, []byte{0, 56}, 2},
		"all of it":                                        {1, []byte{0, 63}, 2},
		"beyond, a page at a time":                         {1, []byte{30, 20, 5, 1, 0, 0}, 2},
		"large from the start":                             {60, []byte{0, 1, 0, 1, 1}, 1},
		"large after the first batch, and grows":           {1, []byte{60, 0, 1, 1}, 1},
		"half after the first batch":                       {1, []byte{31, 31}, 1},
		"less than half after the first batch":             {1, []byte{30, 31}, 2},
		"half at the start":                                {32, []byte{0, 31}, 1},
		"less than half at the start":                      {31, []byte{0, 31}, 2},
		"again, and again":                                 {1, []byte{30, 30, 30, 30, 30, 30}, 4},
		"again, but what is fresh grows in its first":      {1, []byte{30, 30, 60, 1, 1}, 2},
		"a batch of nothing to hand over is not the first": {1, []byte{60, 1, 1}, 1},
	} {
		l := leaks(t, c.pages, Source{})
		if strings.Contains(name, "nothing to hand over") {
			process(t, l.Guest, &stream.Batch{})
		}
		l.take(t, c.takes...)
		l.take(t, 0)
		if l.Lives() != c.lives || l.traps > 0 {
			t.Errorf("%s: %d lives, want %d; %d traps", name, l.Lives(), c.lives, l.traps)
		}
	}
}

// TestAPluginThatFillsItsMemoryWithinABatchCostsNoRecord is not recycled: an instance is replaced between batches only.
func TestAPluginThatFillsItsMemoryWithinABatchCostsNoRecord(t *testing.T) {
	l := leaks(t, 1, Source{})
	values := slices.Repeat([]string{"\x01"}, 150)
	b := batch(values...)
	if err := l.Process(t.Context(), b); err != nil || fates(b) != strings.Join(values, " ") {
		t.Fatalf("%v, %q", err, fates(b))
	}
	if l.traps != 2 || l.recycled != nil { // at the 64th and the 127th
		t.Errorf("%d calls trapped, and it was recycled at %v", l.traps, l.recycled)
	}
}

// TestWhatLooksBackIsNotRecycled: its memory is what it was given of the log, and would be as large again.
func TestWhatLooksBackIsNotRecycled(t *testing.T) {
	l := leaks(t, 1, Source{LookBack: 10})
	l.take(t, 0, 60, 1, 1, 0)
	if l.Lives() != 1 {
		t.Errorf("%d lives", l.Lives())
	}
}

// TestARecycledPluginThatDoesNotStartIsNotCalled: its records wait, and go to what takes its place.
func TestARecycledPluginThatDoesNotStartIsNotCalled(t *testing.T) {
	l := leaks(t, 1, Source{Bytes: hostile.Leaks(1, true)})
	l.take(t, 0)
	process(t, l.Guest, batch("\x00", "\x3c"))
	for range 3 {
		b := batch("\x00", "\x00")
		if err := l.Process(t.Context(), b); !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "sp_init refused") {
			t.Fatalf("the error is %v", err)
		}
	}
	if l.given != 3 || len(l.recycled) != 1 || !l.instance.module.IsClosed() {
		t.Errorf("%d records were given, and it was recycled at %v", l.given, l.recycled)
	}
	l.plugin.Replace(load(t, Source{Name: "p", Bytes: hostile.Leaks(1, false)}))
	l.take(t, 0, 0)
}
