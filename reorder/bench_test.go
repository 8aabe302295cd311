package reorder_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

// BenchmarkSequence orders batches of 5,000 records of 1,000 keys, of which some 8 % come in another order than their sequence.
func BenchmarkSequence(b *testing.B) {
	ctx := context.Background()
	var sequences []int64
	s, err := reorder.NewSequence(reorder.Config{Name: "r", Key: keyOf, MaxWait: time.Hour, Store: memstate.New().Space("p", "r"),
		Sequence: func(r *stream.Record) (int64, error) { return sequences[r.Origin.Offset%5000], nil }})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Open(ctx, stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
		b.Fatal(err)
	}
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = fmt.Append(nil, "key-", i)
	}
	sequences = make([]int64, 5000)
	batch := &stream.Batch{}
	b.ReportAllocs()
	for at := int64(0); at < int64(b.N); at += 5000 {
		batch.Reset()
		batch.Spans = append(batch.Spans, stream.Span{Partition: part, From: at, To: at + 5000})
		for i := range int64(5000) {
			n := at + i
			sequences[i] = n / 1000
			batch.Records = append(batch.Records, stream.Record{Key: keys[n%1000], Timestamp: n, Origin: stream.Coordinate{Partition: part, Offset: n}})
		}
		for i := int64(0); i+1000 < 5000; i += 20 { // this key's record changes places with its next
			sequences[i], sequences[i+1000] = sequences[i+1000], sequences[i]
		}
		if err := s.Process(ctx, batch); err != nil {
			b.Fatal(err)
		}
		s.Committed("", []stream.Partition{part})
	}
}
