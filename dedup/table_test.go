package dedup

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// drawDigest draws from few values, so that tables are crowded where it matters: at one home, and at the end.
func drawDigest(t *rapid.T) digest {
	half := func(name string) uint64 {
		return rapid.SampledFrom([]uint64{0, 1, 2, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}).Draw(t, name)
	}
	d := digest{half("shard") * shards, half("home")}
	if rapid.Bool().Draw(t, "spread") {
		d[0] += rapid.Uint64Range(0, 40).Draw(t, "low") * shards
	}
	return d
}

func TestSetKnowsWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := new(set), map[digest]bool{}
		for range rapid.IntRange(0, 400).Draw(t, "adds") {
			d := drawDigest(t)
			if s.has(d) != want[d.stored()] || s.add(d) == want[d.stored()] {
				t.Fatalf("%x: the set and the specification disagree", d)
			}
			want[d.stored()] = true
		}
		for d := range want {
			if !s.has(d) {
				t.Fatalf("%x was forgotten", d)
			}
		}
		if s.count != len(want) {
			t.Fatalf("counted %d, want %d", s.count, len(want))
		}
	})
}

func TestTablesStayInOrderAndWithinTheirMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s, n := new(set), 1_000_000
	for range n {
		s.add(digest{r.Uint64(), r.Uint64()})
	}
	slots := 0
	for i := range s.tables {
		slots += len(s.tables[i].slots)
		var last digest
		for _, d := range s.tables[i].slots {
			if d == (digest{}) {
				continue
			}
			if d[1] < last[1] || d[1] == last[1] && d[0] <= last[0] {
				t.Fatalf("%x stands behind %x", d, last)
			}
			last = d
		}
	}
	if bytes := 16 * float64(slots) / float64(s.count); bytes > 22.5 {
		t.Errorf("the set takes %.1f bytes an id", bytes)
	}
}
