package stream

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is the offsets [From, To).
type Range struct{ From, To int64 }

// Skips are ranges of a partition that an operator has skipped: their records were never processed, so later copies of them
// are no duplicates. They are written "from-to,from-to", in their order.
type Skips string

// skipsLimit bounds how many ranges are remembered: the commit's metadata holds them. The oldest is forgotten first.
const skipsLimit = 16

// Ranges reads them. What is not understood ends them.
func (s Skips) Ranges() (list []Range) {
	for part := range strings.SplitSeq(string(s), ",") {
		a, b, _ := strings.Cut(part, "-")
		from, err := strconv.ParseInt(a, 10, 64)
		to, bad := strconv.ParseInt(b, 10, 64)
		if err != nil || bad != nil {
			return list
		}
		list = append(list, Range{from, to})
	}
	return list
}

// Forward adds the range that a move of the floor from one offset to a higher one skips.
func (s Skips) Forward(from, to int64) Skips {
	list := s.Ranges()
	if n := len(list); n > 0 && list[n-1].To >= from {
		list[n-1].To = to
	} else {
		list = append(list, Range{from, to})
	}
	return write(list[max(0, len(list)-skipsLimit):])
}

// Back takes out what a move of the floor to a lower offset brings back.
func (s Skips) Back(to int64) Skips {
	var list []Range
	for _, r := range s.Ranges() {
		if r.To = min(r.To, to); r.From < r.To {
			list = append(list, r)
		}
	}
	return write(list)
}

func write(list []Range) Skips {
	parts := make([]string, len(list))
	for i, r := range list {
		parts[i] = fmt.Sprintf("%d-%d", r.From, r.To)
	}
	return Skips(strings.Join(parts, ","))
}
