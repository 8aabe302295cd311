package dedup

import "math/bits"

// digest is the keyed fingerprint of an id: 16 bytes, so that among 10⁹ ids two collide with odds of 3e-21. The zero
// digest marks a free slot; an id that has it is stored as digest{0, 1}, which is as unlikely.
type digest [2]uint64

const (
	shards = 256 // a growing shard moves 1/256 of the ids, so that no batch waits for the whole table
	// The two keep the table at 16/0.875 to 16/0.73 bytes an id, 20 in the mean: below the load a search for an absent
	// digest looks at 13 slots in the mean, 208 bytes in a row.
	loadNum, loadDen     = 7, 8
	growthNum, growthDen = 6, 5
)

// set is one generation of digests: open-addressing tables without pointers, so that the collector does not look inside.
type set struct {
	slots [shards][]digest
	used  [shards]int32
	count int
}

// add puts d in, and reports whether it was absent.
func (s *set) add(d digest) bool {
	d = d.stored()
	i := d.shard()
	if int(s.used[i]+1)*loadDen > len(s.slots[i])*loadNum {
		s.grow(i)
	}
	at, found := find(s.slots[i], d)
	if found {
		return false
	}
	s.slots[i][at] = d
	s.used[i]++
	s.count++
	return true
}

func (s *set) has(d digest) bool {
	d = d.stored()
	slots := s.slots[d.shard()]
	if len(slots) == 0 {
		return false
	}
	_, found := find(slots, d)
	return found
}

// grow makes shard i a fifth larger. The shards begin at different sizes, so that they do not all grow at once.
func (s *set) grow(i int) {
	old := s.slots[i]
	size := len(old)*growthNum/growthDen + 1
	if len(old) == 0 {
		size = 32 + i/16
	}
	s.slots[i] = make([]digest, size)
	for _, d := range old {
		if d != (digest{}) {
			at, _ := find(s.slots[i], d)
			s.slots[i][at] = d
		}
	}
}

// find returns the slot of d, or the free one where it belongs. There is always a free one.
func find(slots []digest, d digest) (int, bool) {
	hi, _ := bits.Mul64(d[1], uint64(len(slots)))
	for i := int(hi); ; {
		switch slots[i] {
		case d:
			return i, true
		case digest{}:
			return i, false
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

func (d digest) shard() int { return int(d[0] % shards) }

func (d digest) stored() digest {
	if d == (digest{}) {
		return digest{0, 1}
	}
	return d
}
