package reorder

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
)

func lanes() *lane {
	return newLane(stream.StateKey{}, 0, "", time.UnixMilli(0), time.Hour)
}

// TestKeysInMemoryAreBounded has more keys than are remembered, or larger ones: those that the store knows go.
func TestKeysInMemoryAreBounded(t *testing.T) {
	for name, keys := range map[string]struct{ n, bytes int }{"many": {keysLimit + 1, 8}, "large": {namesLimit>>20 + 1, 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			l := lanes()
			for i := range keys.n {
				l.state(fmt.Append(bytes.Repeat([]byte("n"), keys.bytes), i))
			}
			waits, dirty := l.state([]byte("waits")), l.state([]byte("dirty"))
			l.add(&held{}, waits, 1, time.Second, time.UnixMilli(0))
			l.mark(dirty)
			l.trim()
			if l.keys["waits"] != waits || l.keys["dirty"] != dirty || len(l.keys) != 2 || l.names != len("waits")+len("dirty") {
				t.Errorf("%d keys of %d bytes are left, want the one that waits and the one that the store does not know yet", len(l.keys), l.names)
			}
			l = lanes()
			for i := range keys.n / 2 {
				l.state(fmt.Append(bytes.Repeat([]byte("n"), keys.bytes), i))
			}
			if l.trim(); len(l.keys) != keys.n/2 {
				t.Errorf("%d keys are left, want all that may be", len(l.keys))
			}
		})
	}
}

// TestWhatHasComeAndGoneTakesNoMemory has one record wait for long, and a million of another key pass it by, each pair the wrong
// way round.
func TestWhatHasComeAndGoneTakesNoMemory(t *testing.T) {
	l, now := lanes(), time.UnixMilli(0)
	blocked, busy := l.state([]byte("blocked")), l.state([]byte("busy"))
	first := &held{}
	l.add(first, blocked, 1, time.Hour, now)
	for i := range int64(1_000_000) {
		h := &held{record: stream.Record{Origin: stream.Coordinate{Offset: 1 + i}}}
		l.add(h, busy, i, time.Hour, now)
		if l.take(busy) != h {
			t.Fatal("it is not the first of its key")
		}
		h.gone = true
		if n := max(l.deadlines.len(), l.floor.offsets.len()); n > spare+4 {
			t.Fatalf("%d are remembered, and one waits", n)
		}
	}
	if n, at := l.floor.lowest(); n != 1 || at != 0 || l.oldest() != first || l.count != 1 {
		t.Errorf("%d wait from offset %d on, want the first alone", n, at)
	}
}

func TestAHeapThatIsPrunedStaysInOrder(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	h := heap[int]{less: func(a, b int) bool { return a < b }}
	var want []int
	for range 5 * spare {
		v := dice.IntN(1000)
		if h.push(v); v%5 == 0 {
			want = append(want, v)
		}
	}
	h.prune(len(want), func(v int) bool { return v%5 == 0 })
	slices.Sort(want)
	var got []int
	for h.len() > 0 {
		got = append(got, h.pop())
	}
	if !slices.Equal(got, want) {
		t.Errorf("of %d items %d came in order, want %d", 5*spare, len(got), len(want))
	}
}
