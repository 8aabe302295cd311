// Package bid makes the records of the bench and judges what became of them. A bid has the shape of NEXMark's: a flat JSON
// object of about 227 bytes. Bid n is a function of n alone, so that the judge needs no memory of what was fed.
package bid

import (
	"strconv"
	"time"
)

// Size is the length of most bids in bytes, that of BENCH's figures.
const Size = 227

const (
	auctions = 1000 // keys: enough to spread evenly over four partitions, few enough that each has an order to keep
	filler   = "the quick brown fox jumps over the lazy dog while sixty zippers were quickly picked from the woven jute bag"
)

var (
	channels = [...]string{"Google", "Facebook", "Baidu", "Apple"}
	epoch    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Key is the key of bid n: its auction.
func Key(n int64) []byte { return strconv.AppendInt(nil, auction(n), 10) }

// Price is the price of bid n, a whole number.
func Price(n int64) int64 { return 100 + int64(mix(n, 2)%9_999_900) }

// Append appends bid n as JSON to b.
func Append(b []byte, n int64) []byte {
	start := len(b)
	b = appendHead(b, n)
	b = strconv.AppendInt(b, Price(n), 10)
	return appendTail(b, n, start)
}

// appendHead writes what comes before the price. The id is first, so that a judge finds it without parsing.
func appendHead(b []byte, n int64) []byte {
	b = strconv.AppendInt(append(b, `{"id":"`...), n, 10)
	b = strconv.AppendInt(append(b, `","auction":`...), auction(n), 10)
	b = strconv.AppendUint(append(b, `,"bidder":`...), 2000+mix(n, 3)%8000, 10)
	return append(b, `,"price":`...)
}

// appendTail writes what comes after the price and fills the bid, begun at start, up to Size. The filling depends on the
// length of the bid's own price, not on what stands in b.
func appendTail(b []byte, n int64, start int) []byte {
	b = append(append(b, `,"channel":"`...), channels[mix(n, 4)%uint64(len(channels))]...)
	b = strconv.AppendUint(append(b, `","url":"https://www.nexmark.com/item/`...), mix(n, 5)%100_000, 10)
	b = append(b, `","dateTime":"`...)
	b = epoch.Add(time.Duration(n)*time.Millisecond).AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","extra":"`...)
	if room := Size - (len(b) - start) - len(`"}`); room > 0 {
		b = append(b, filler[:min(room, len(filler))]...)
	}
	return append(b, `"}`...)
}

func auction(n int64) int64 { return 1000 + int64(mix(n, 1)%auctions) }

// mix is SplitMix64 (Steele, Lea and Flood, 2014) of a number and a lane.
func mix(n int64, lane uint64) uint64 {
	z := uint64(n)*8 + lane
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
