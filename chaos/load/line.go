package load

// placed is a ticket with its position in the log.
type placed struct {
	at float64
	Ticket
}

// line is a heap (container/heap) of what is still to be written, the next first.
type line []placed

func (l line) Len() int      { return len(l) }
func (l line) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *line) Push(x any)   { *l = append(*l, x.(placed)) } //nolint:forcetypeassert // heap.Push of this package alone

func (l line) Less(i, j int) bool {
	switch a, b := l[i], l[j]; {
	case a.at != b.at:
		return a.at < b.at
	case a.ID != b.ID:
		return a.ID < b.ID
	default:
		return a.Copy < b.Copy
	}
}

func (l *line) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	*l = (*l)[:last]
	return x
}
