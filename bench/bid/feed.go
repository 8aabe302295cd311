package bid

// Feed is the order in which bids enter the input topic. Without duplicates it is 0, 1, 2 … Records-1. With them about one
// record in fourteen (7 %) repeats an earlier bid: half from the last near bids, half from anywhere before.
type Feed struct {
	Records    int64
	Duplicates bool
	fed, next  int64
}

const (
	duplicateOneIn = 14
	near           = 100 // a near duplicate is at most so many bids back
)

// Next gives the number of the next bid; false when the feed is through.
func (f *Feed) Next() (n int64, ok bool) {
	if f.fed == f.Records {
		return 0, false
	}
	r := mix(f.fed, 6)
	f.fed++
	if f.Duplicates && f.next > 0 && r%duplicateOneIn == 0 {
		r /= duplicateOneIn
		back := int64(r / 2)
		if r%2 == 0 {
			return f.next - 1 - back%min(near, f.next), true
		}
		return back & (1<<62 - 1) % f.next, true
	}
	f.next++
	return f.next - 1, true
}

// Distinct is how many different bids the whole feed holds.
func (f *Feed) Distinct() int64 {
	g := Feed{Records: f.Records, Duplicates: f.Duplicates}
	for _, ok := g.Next(); ok; _, ok = g.Next() {
	}
	return g.next
}
