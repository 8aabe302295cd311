package reorder

import (
	"slices"
	"time"
)

// heap is a binary heap; less decides what is at the top.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) top() T { return h.items[0] }

func (h *heap[T]) push(v T) {
	h.items = append(h.items, v)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

func (h *heap[T]) pop() T {
	var zero T
	v, last := h.items[0], len(h.items)-1
	h.items[0], h.items[last] = h.items[last], zero
	h.items = h.items[:last]
	h.sink(0)
	return v
}

// sink moves the item at i down to its place.
func (h *heap[T]) sink(i int) {
	for {
		down := 2*i + 1
		if down >= len(h.items) {
			return
		}
		if right := down + 1; right < len(h.items) && h.less(h.items[right], h.items[down]) {
			down = right
		}
		if !h.less(h.items[down], h.items[i]) {
			return
		}
		h.items[i], h.items[down] = h.items[down], h.items[i]
		i = down
	}
}

// spare is how many items of a heap may be of no more use, beside as many as are.
const spare = 1024

// prune takes out what is of no more use, once that is more than what is: one item that stays at the top for long would
// otherwise keep all that come and go meanwhile.
func (h *heap[T]) prune(useful int, is func(T) bool) {
	if len(h.items) <= 2*useful+spare {
		return
	}
	h.items = slices.DeleteFunc(h.items, func(v T) bool { return !is(v) })
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

// floor keeps count of the inputs that are held, and knows the lowest. Several held records may be of one input.
type floor struct {
	inputs  map[int64]waiting
	offsets heap[int64] // may hold offsets that are no longer held
	sum     uint64      // of a hash of each: two floors with one sum hold the same records
}

// waiting is one input that is held: how many records of it, and since when, in nanoseconds of the Unix epoch.
type waiting struct{ records, since int64 }

func newFloor() floor {
	return floor{inputs: map[int64]waiting{}, offsets: heap[int64]{less: func(a, b int64) bool { return a < b }}}
}

func (f *floor) hold(offset int64, now time.Time) {
	f.sum += mix(offset)
	w, was := f.inputs[offset]
	if !was {
		w.since = now.UnixNano()
		f.offsets.push(offset)
	}
	w.records++
	f.inputs[offset] = w
}

func (f *floor) release(offset int64) {
	f.sum -= mix(offset)
	w := f.inputs[offset]
	if w.records--; w.records > 0 {
		f.inputs[offset] = w
		return
	}
	delete(f.inputs, offset)
	f.offsets.prune(len(f.inputs), func(offset int64) bool { return f.inputs[offset].records > 0 })
}

// lowest returns how many inputs are held and the lowest of their offsets.
func (f *floor) lowest() (inputs int, offset int64) {
	for f.offsets.len() > 0 && f.inputs[f.offsets.top()].records == 0 {
		f.offsets.pop()
	}
	if f.offsets.len() == 0 {
		return 0, 0
	}
	return len(f.inputs), f.offsets.top()
}

// oldest returns since when the lowest offset is held, or the zero time.
func (f *floor) oldest() time.Time {
	if n, offset := f.lowest(); n > 0 {
		return time.Unix(0, f.inputs[offset].since)
	}
	return time.Time{}
}

// mix is the finalizer of SplitMix64.
func mix(offset int64) uint64 {
	x := uint64(offset) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
