package ais

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Heard is a sentence as it arrives from a station.
type Heard struct {
	Station  string
	Line     string // with a tag block
	Arrival  int64  // milliseconds since 1970
	Received int64  // by the clock of the station
	Payload  string // of the message that it is the last sentence of, or ""
	Report   *Report
}

// First is when the first of a feed was said, in milliseconds since 1970.
const First = 1_289_558_772_000

const (
	stations   = 6
	everyMS    = 7     // between two reports
	latestMS   = 8_000 // some arrive so late
	lateOneIn  = 40
	usualMS    = 1_500
	clockMS    = 40 // how far the clocks of stations are apart
	hearsMost  = 3
	sentenceMS = 1 // between two sentences of a message
)

// Feed is what several stations hear of n reports, in the order in which it arrives: most of them come from more than one,
// behind others that were said later, and those of several sentences have sentences of other stations between theirs.
func Feed(seed uint64, n int) []Heard {
	rnd := rand.New(rand.NewPCG(seed, 0))
	var all []Heard
	for i := range n {
		r := Random(rnd, Types[rnd.IntN(len(Types))])
		said := int64(First + i*everyMS)
		for _, s := range rnd.Perm(stations)[:1+rnd.IntN(hearsMost)] {
			delay := rnd.IntN(usualMS)
			if rnd.IntN(lateOneIn) == 0 {
				delay = rnd.IntN(latestMS)
			}
			all = append(all, Heard{Station: fmt.Sprintf("station-%d", s), Arrival: said + int64(delay), Received: said + int64(rnd.IntN(clockMS)), Report: &r})
		}
	}
	byArrival := func(a, b Heard) int { return cmp.Compare(a.Arrival, b.Arrival) }
	slices.SortStableFunc(all, byArrival)
	var feed []Heard
	sequence := map[string]int{}
	for _, h := range all {
		sequence[h.Station]++ // as they arrive, so that a number comes again only when its message is through
		feed = append(feed, h.sentences(sequence[h.Station])...)
	}
	slices.SortStableFunc(feed, byArrival)
	return feed
}

// sentences are what the station sends of the report.
func (h Heard) sentences(sequence int) (list []Heard) {
	for i, s := range h.Report.Sentences(sequence, "A") {
		list = append(list, h)
		list[i].Line = Tagged(h.Station, h.Received, s)
		list[i].Arrival += int64(i * sentenceMS)
	}
	for i := range list[:len(list)-1] {
		list[i].Report = nil
	}
	list[len(list)-1].Payload, _ = h.Report.Payload()
	return list
}
