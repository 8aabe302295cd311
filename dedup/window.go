package dedup

import "time"

// aheadLimit is how far a record's timestamp may be ahead of the wall clock and still move the window: one wrong clock
// among the producers must not end it for everybody.
const aheadLimit = time.Hour

// window is the membership of one partition in log time: the digests of this generation and of the one before. A
// generation is as long as the window, so a copy within the window is always found, and one beyond two never.
type window struct {
	length    int64 // milliseconds
	gen       int64 // ⌊running maximum of the timestamps / length⌋
	this, old *set
}

func newWindow(length time.Duration) *window {
	return &window{length: max(length.Milliseconds(), 1), this: new(set), old: new(set)}
}

// generation is the one that a record with this timestamp belongs to. It never goes back.
func (w *window) generation(timestamp int64, now time.Time) int64 {
	if timestamp > now.Add(aheadLimit).UnixMilli() {
		return w.gen
	}
	return max(w.gen, timestamp/w.length)
}

// turn moves the window to generation g.
func (w *window) turn(g int64) {
	switch {
	case g <= w.gen:
		return
	case g == w.gen+1:
		w.old, w.this = w.this, new(set)
	default:
		w.old, w.this = new(set), new(set)
	}
	w.gen = g
}

// first puts d in, and reports whether no copy of it was there.
func (w *window) first(d digest) bool { return !w.old.has(d) && w.this.add(d) }

// load puts in a digest that was a first in generation g; the caller has turned the window to the newest so far.
func (w *window) load(d digest) { w.this.add(d) }
