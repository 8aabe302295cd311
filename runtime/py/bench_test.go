package py

import (
	"fmt"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/stream"
	"golang.org/x/sys/unix"
)

// cpu is what this process has used, in nanoseconds: the machine of a bench is seldom its own.
func cpu() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime)
}

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
	g := newRig(b).guest(script)
	values := make([][]byte, n)
	for i := range values {
		values[i] = bid.Append(nil, int64(i))
	}
	batch, records, start := &stream.Batch{}, 0, cpu()
	for b.Loop() {
		records += n
		batch.Reset()
		for i, v := range values {
			batch.Records = append(batch.Records, stream.Record{Key: []byte("1327"), Value: v, Timestamp: int64(i)})
		}
		if err := g.Process(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(records), "cpu-ns/record")
}
