package dedup

import "math/bits"

// digest is the keyed fingerprint of an id: 16 bytes, so that among 10⁹ ids two collide with odds of 3e-21. The zero
// digest marks a free slot; an id that has it is stored as digest{0, 1}, which is as unlikely.
type digest [2]uint64

const (
	shards = 256 // a growing shard moves 1/256 of the ids, so that no batch waits for the whole table
	// The two keep the table at 16/0.875 to 16/0.73 bytes an id, 20 in the mean.
	loadNum, loadDen     = 7, 8
	growthNum, growthDen = 6, 5
)

// set is one generation of digests: open-addressing tables without pointers, so that the collector does not look inside.
type set struct {
	tables [shards]table
	count  int
}

// add puts d in, and reports whether it was absent.
func (s *set) add(d digest) bool {
	d = d.stored()
	t := &s.tables[d.shard()]
	if (t.used+1)*loadDen > t.homes*loadNum {
		t.grow(d.shard())
	}
	at, found := t.find(d)
	if found {
		return false
	}
	for !t.insert(at, d) {
		t.grow(d.shard())
		at, _ = t.find(d)
	}
	s.count++
	return true
}

func (s *set) has(d digest) bool {
	d = d.stored()
	_, found := s.tables[d.shard()].find(d)
	return found
}

// table is an ordered hash table (Amble and Knuth, 1974): its digests stand in their order, each at its home or, where that
// is taken, behind it, so a search ends at the first that is greater. At this load that is some 4 slots for a digest that is
// absent, as most are, where the order of arrival takes 13; and a table grows by one pass over the old one.
type table struct {
	slots       []digest // as many as homes, and a margin for what is displaced beyond the last
	homes, used int
}

// margin is enough for all but one in some hundred full tables, which grow early.
func margin(homes int) int { return 24 + homes/256 }

// grow makes the table a fifth larger. The shards begin at different sizes, so that they do not all grow at once.
func (t *table) grow(shard int) {
	homes := t.homes*growthNum/growthDen + 1
	if t.homes == 0 {
		homes = 32 + shard/16
	}
	for ; ; homes++ {
		larger := table{make([]digest, homes+margin(homes)), homes, t.used}
		if larger.fill(t.slots) {
			*t = larger
			return
		}
	}
}

// fill puts the digests of a smaller table in. It reports whether the margin was enough.
func (t *table) fill(old []digest) bool {
	next := 0
	for _, d := range old {
		if d == (digest{}) {
			continue
		}
		if next = max(next, t.home(d)); next == len(t.slots) {
			return false
		}
		t.slots[next] = d
		next++
	}
	return true
}

// home is where d belongs: digests are uniform, so their order is that of their homes.
func (t *table) home(d digest) int {
	hi, _ := bits.Mul64(d[1], uint64(t.homes))
	return int(hi)
}

// find returns the slot of d, or the one where it belongs.
func (t *table) find(d digest) (int, bool) {
	i := t.home(d)
	for ; i < len(t.slots); i++ {
		at := t.slots[i]
		if at == d {
			return i, true
		}
		if at[1] > d[1] || at[1] == d[1] && at[0] > d[0] || at == (digest{}) {
			break
		}
	}
	return i, false
}

// insert puts d at slot i, and moves what stands there up to the next free slot. It reports whether there was one.
func (t *table) insert(i int, d digest) bool {
	for j := i; j < len(t.slots); j++ {
		if t.slots[j] == (digest{}) {
			copy(t.slots[i+1:j+1], t.slots[i:j])
			t.slots[i] = d
			t.used++
			return true
		}
	}
	return false
}

func (d digest) shard() int { return int(d[0] % shards) }

func (d digest) stored() digest {
	if d == (digest{}) {
		return digest{0, 1}
	}
	return d
}
