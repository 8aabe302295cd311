// Package guesttest is what tests of plugins in any form have in common: what became of a batch, and what it cost.
package guesttest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
	"golang.org/x/sys/unix"
)

// Guest is a plugin at work.
type Guest interface {
	Process(ctx context.Context, b *stream.Batch) error
}

// Batch is one of records with these values, each with a key, headers and a timestamp.
func Batch(values ...string) *stream.Batch {
	b := &stream.Batch{}
	for i, v := range values {
		b.Records = append(b.Records, stream.Record{Key: []byte(fmt.Sprint("k", i)), Value: []byte(v), Timestamp: 1000 + int64(i),
			Headers: []stream.Header{{Key: "h", Value: []byte("x")}, {Key: "n"}},
			Origin:  stream.Coordinate{Partition: stream.Partition{Topic: "t", ID: 2}, Offset: int64(i)}})
	}
	return b
}

// Outcome gives a batch to a guest, and writes one line per record: its value, its fate, or ! with reason and message.
func Outcome(t testing.TB, g Guest, b *stream.Batch) string {
	t.Helper()
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range b.Records {
		switch r := &b.Records[i]; {
		case r.Fate == stream.DeadLettered:
			out = append(out, "!"+string(r.Cause.Reason)+" "+r.Cause.Message)
		case r.Fate != stream.Flowing:
			out = append(out, r.Fate.String())
		case r.Value == nil:
			out = append(out, "null")
		default:
			out = append(out, string(r.Value))
		}
	}
	return strings.Join(out, "\n")
}

// Check wants an outcome to be these lines.
func Check(t testing.TB, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("got\n%s\nwant\n%s", got, w)
	}
}

// Time gives a guest batches of 1,000 records of 200 bytes, and reports nanoseconds per record.
func Time(b *testing.B, g Guest) {
	const n = 1000
	batch := &stream.Batch{}
	value := []byte(strings.Repeat("x", 200))
	for b.Loop() {
		batch.Reset()
		for i := range n {
			batch.Records = append(batch.Records, stream.Record{Key: []byte("1327"), Value: value, Timestamp: int64(i), Origin: stream.Coordinate{Offset: int64(i)}})
		}
		if err := g.Process(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

// CPU gives a guest batches of these values, and reports nanoseconds of processor time per record: the machine of a bench is
// seldom its own.
func CPU(b *testing.B, g Guest, values [][]byte) {
	batch, records, start := &stream.Batch{}, 0, spent()
	for b.Loop() {
		records += len(values)
		batch.Reset()
		for i, v := range values {
			batch.Records = append(batch.Records, stream.Record{Key: []byte("1327"), Value: v, Timestamp: int64(i)})
		}
		if err := g.Process(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(spent()-start)/float64(records), "cpu-ns/record")
}

// spent is what this process has used, in nanoseconds.
func spent() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime)
}
