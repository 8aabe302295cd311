package js

import (
	"fmt"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/internal/guesttest"
)

// BenchmarkQ1 is NEXMark's query 1 as a script, by the number of records in a batch.
func BenchmarkQ1(b *testing.B) {
	for name, script := range map[string]string{
		"map": `export const map = v => ({ auction: v.auction, bidder: v.bidder, price: JSON.rawJSON((v.price * 0.908).toFixed(3)), channel: v.channel, dateTime: v.dateTime })`,
		"rec": `export const map = (v, rec) => ({ auction: v.auction, bidder: v.bidder, price: v.price * 0.908, channel: v.channel, dateTime: v.dateTime, key: rec.key })`,
	} {
		for _, n := range []int{1, 10, 100, 500} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) { q1(b, script, n) })
		}
	}
}

func q1(b *testing.B, script string, n int) {
	g := newRig(b).Guest(script)
	values := make([][]byte, n)
	for i := range values {
		values[i] = bid.Append(nil, int64(i))
	}
	guesttest.CPU(b, g, values)
}
