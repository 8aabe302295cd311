// Package load makes the records of a chaos run: ids in order per key, some of them repeated, some of them late. Everything
// about a record is a function of the seed and its id, so that a judge needs no memory of what was written.
package load

import (
	"bytes"
	"container/heap"
	"iter"
	"strconv"
)

// Load describes what is written. Ids are 0 to IDs-1. Id n has key n mod Keys and is number n div Keys of it. From the id
// Grown on, the keys are others: a key does not move when partitions are added.
type Load struct {
	Seed       uint64  `json:"seed"`
	IDs        int64   `json:"ids"`
	Keys       int64   `json:"keys"`
	Duplicates float64 `json:"duplicates"`          // share of ids that are written twice
	Disorder   float64 `json:"disorder"`            // share of ids that come late
	Dropped    int64   `json:"dropped"`             // one id in so many is for the filter to drop; 0 is none
	Poisoned   int64   `json:"poisoned"`            // on one id in so many the plugin traps; 0 is none
	Grown      int64   `json:"grown,omitempty"`     // from this id on keys are new, and lie in the added partitions too; 0: none are added
	Anew       bool    `json:"anew,omitempty"`      // from the id Grown on all is written into a topic made anew, without added partitions: nothing from before comes after
	Scattered  bool    `json:"scattered,omitempty"` // each record is in a partition of its own choice, whatever its id and key
}

// How many positions later a copy, or a late record, comes at most. A late record is overtaken by up to four of its key.
const (
	nearCopy    = 10
	farCopy     = 50_000
	lateByKeys  = 4
	maxPad      = 40
	minPad      = 100
	padAlphabet = "qwertyuiopasdfghjklzxcvbnm"
)

// Ticket is one record to be written: an id, and whether this is the first record of it in the log (0) or a later copy.
type Ticket struct {
	ID   int64
	Copy int
}

// Fate is what must become of an id.
type Fate int

// The fates.
const (
	Out     Fate = iota // it comes out
	Dropped             // the filter drops it
	Dead                // the plugin traps on it: it goes to the dead letters
)

// Fate says what must become of an id.
func (l Load) Fate(id int64) Fate {
	r := l.mix(id, 5)
	switch {
	case l.Poisoned > 0 && r%uint64(l.Poisoned) == 0:
		return Dead
	case l.Dropped > 0 && r>>32%uint64(l.Dropped) == 0:
		return Dropped
	}
	return Out
}

// Key is the number of the key of an id.
func (l Load) Key(id int64) int64 {
	if l.grown(id) {
		return l.Keys + (id-l.Grown)%l.Keys
	}
	return id % l.Keys
}

// AllKeys is how many keys there are.
func (l Load) AllKeys() int64 {
	if l.Grown > 0 {
		return 2 * l.Keys
	}
	return l.Keys
}

// Partitions is how many the input has, and Added how many more it may get. But for a load that is scattered, a key is always in the same one.
const (
	Partitions = 4
	Added      = 2
)

// Partition is that of the input to which a record is written.
func (l Load) Partition(t Ticket) int32 {
	partitions, by := int64(Partitions), l.Key(t.ID)
	if l.grown(t.ID) && !l.Anew {
		partitions += Added
	}
	if l.Scattered {
		by = int64(l.mix(t.ID*2+int64(t.Copy), 7) >> 1)
	}
	return int32(by % partitions)
}

// Seq is the place of an id among those of its key, from 0.
func (l Load) Seq(id int64) int64 {
	if l.grown(id) {
		id -= l.Grown
	}
	return id / l.Keys
}

func (l Load) grown(id int64) bool { return l.Grown > 0 && id >= l.Grown }

// AppendKey appends the key of an id as it stands in the record.
func (l Load) AppendKey(b []byte, id int64) []byte {
	return strconv.AppendInt(append(b, 'k'), l.Key(id), 10)
}

// words are the values of the field kind, by fate.
var words = [...]string{"order", "noise", "poison"}

// AppendValue appends a record as JSON. Ids and copies differ in their bytes.
func (l Load) AppendValue(b []byte, t Ticket) []byte {
	b = strconv.AppendInt(append(b, `{"id":"`...), t.ID, 10)
	b = strconv.AppendInt(append(b, `","copy":`...), int64(t.Copy), 10)
	b = l.AppendKey(append(b, `,"key":"`...), t.ID)
	b = strconv.AppendInt(append(b, `","seq":`...), l.Seq(t.ID), 10)
	b = append(append(b, `,"kind":"`...), words[l.Fate(t.ID)]...)
	b = strconv.AppendUint(append(b, `","sum":`...), l.mix(t.ID, 4), 10)
	b = append(b, `,"pad":"`...)
	pad := minPad + int(t.ID%maxPad)
	for pad > 0 {
		n := min(pad, len(padAlphabet))
		b, pad = append(b, padAlphabet[:n]...), pad-n
	}
	return append(b, `"}`...)
}

// Parse finds which ticket a value was. Whether it still is that ticket, byte for byte, is for AppendValue to tell.
func Parse(value []byte) (Ticket, bool) {
	id, rest, ok := number(value, `{"id":"`)
	if !ok {
		return Ticket{}, false
	}
	copied, _, ok := number(rest, `","copy":`)
	return Ticket{id, int(copied)}, ok
}

func number(b []byte, after string) (n int64, rest []byte, ok bool) {
	if b, ok = bytes.CutPrefix(b, []byte(after)); !ok {
		return 0, nil, false
	}
	end := bytes.IndexFunc(b, func(r rune) bool { return r < '0' || r > '9' })
	if end <= 0 {
		return 0, nil, false
	}
	n, err := strconv.ParseInt(string(b[:end]), 10, 64)
	return n, b[end:], err == nil
}

// All gives the tickets in the order in which they are to be written. The first record of an id comes before its copy.
func (l Load) All() iter.Seq[Ticket] {
	return func(yield func(Ticket) bool) {
		var due line
		for id := int64(0); id < l.IDs || len(due) > 0; id++ {
			if l.Anew && id == l.Grown && !l.flush(&due, yield) {
				return
			}
			if id < l.IDs {
				l.place(&due, id)
			}
			for len(due) > 0 && (due[0].at <= float64(id) || id >= l.IDs) {
				if !yield(heap.Pop(&due).(placed).Ticket) { //nolint:forcetypeassert // line holds nothing else
					return
				}
			}
		}
	}
}

// flush gives all that is in line.
func (l Load) flush(due *line, yield func(Ticket) bool) bool {
	for len(*due) > 0 {
		if !yield(heap.Pop(due).(placed).Ticket) { //nolint:forcetypeassert // line holds nothing else
			return false
		}
	}
	return true
}

// place puts an id, and its copy if it has one, where they are to be written.
func (l Load) place(due *line, id int64) {
	at := float64(id)
	if l.chance(id, 1) < l.Disorder {
		at += 1 + l.chance(id, 6)*float64(lateByKeys*l.Keys)
	}
	heap.Push(due, placed{at, Ticket{id, 0}})
	if l.chance(id, 2) < l.Duplicates {
		r := l.chance(id, 3)
		behind := r * 2 * nearCopy // half near, half far
		if r >= 0.5 {
			behind = (r - 0.5) * 2 * farCopy
		}
		heap.Push(due, placed{at + behind, Ticket{id, 1}})
	}
}

// chance is a number from 0 to below 1, and another one in each lane.
func (l Load) chance(id int64, lane uint64) float64 {
	return float64(l.mix(id, lane)>>11) / (1 << 53)
}

// mix is SplitMix64 (Steele, Lea and Flood, 2014) of seed, number and lane.
func (l Load) mix(n int64, lane uint64) uint64 {
	z := (l.Seed<<40^uint64(n))*8 + lane + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
