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
	timeLayout = "2006-01-02T15:04:05.000Z"
	auctions   = 1000 // keys: enough to spread evenly over four partitions, few enough that each has an order to keep
	filler     = "the quick brown fox jumps over the lazy dog while sixty zippers were quickly picked from the woven jute bag"
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
	b = strconv.AppendInt(append(b, `{"id":"`...), n, 10)
	b = appendParties(append(b, `",`...), n)
	b = strconv.AppendInt(b, Price(n), 10)
	return appendTail(b, n, start)
}

// AppendEuro appends to b what query 1 makes of bid n: fewer fields, and the price times 0.908, to the thousandth.
func AppendEuro(b []byte, n int64) []byte {
	b = append(b, '{')
	b = appendParties(b, n)
	thousandths := Price(n) * 908
	b = strconv.AppendInt(b, thousandths/1000, 10)
	b = strconv.AppendInt(append(b, '.'), 1000+thousandths%1000, 10)
	b = append(b[:len(b)-4], b[len(b)-3:]...) // the 1 that kept the zeros
	b = append(append(b, `,"channel":"`...), channel(n)...)
	return append(appendTime(append(b, '"'), n), '}')
}

// appendParties writes who bids for what, up to the price.
func appendParties(b []byte, n int64) []byte {
	b = strconv.AppendInt(append(b, `"auction":`...), auction(n), 10)
	b = strconv.AppendUint(append(b, `,"bidder":`...), 2000+mix(n, 3)%8000, 10)
	return append(b, `,"price":`...)
}

// appendTail writes what comes after the price, and fills the bid, which begins at start, up to Size.
func appendTail(b []byte, n int64, start int) []byte {
	b = append(append(b, `,"channel":"`...), channel(n)...)
	b = strconv.AppendUint(append(b, `","url":"https://www.nexmark.com/item/`...), mix(n, 5)%100_000, 10)
	b = appendTime(append(b, '"'), n)
	b = append(b, `,"extra":"`...)
	if room := Size - (len(b) - start) - len(`"}`); room > 0 {
		b = append(b, filler[:min(room, len(filler))]...)
	}
	return append(b, `"}`...)
}

// appendTime writes the time of bid n. Bids are a millisecond apart, so it also tells them apart.
func appendTime(b []byte, n int64) []byte {
	b = append(b, `,"dateTime":"`...)
	return append(epoch.Add(time.Duration(n)*time.Millisecond).AppendFormat(b, timeLayout), '"')
}

func channel(n int64) string { return channels[mix(n, 4)%uint64(len(channels))] }

func auction(n int64) int64 { return 1000 + int64(mix(n, 1)%auctions) }

// mix is SplitMix64 (Steele, Lea and Flood, 2014) of a number and a lane.
func mix(n int64, lane uint64) uint64 {
	z := uint64(n)*8 + lane
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
