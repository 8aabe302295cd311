package py

import (
	"fmt"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/internal/guesttest"
)

// BenchmarkQ1 is NEXMark's query 1 as a script, by the number of records in a batch.
func BenchmarkQ1(b *testing.B) {
	for name, head := range map[string]string{"map": "def map(v):", "rec": "def map(v, rec):"} {
		for _, n := range []int{1, 10, 100, 500} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				q1(b, head+` return {"auction": v["auction"], "bidder": v["bidder"], "price": round(v["price"] * 0.908, 3), "channel": v["channel"], "dateTime": v["dateTime"]}`, n)
			})
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
