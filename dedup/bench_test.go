package dedup_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/stream"
)

// BenchmarkProcess judges records in batches of 5,000, one in ten a copy, a million ids to a window.
func BenchmarkProcess(b *testing.B) {
	ctx := context.Background()
	part := stream.Partition{Topic: "t"}
	step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: 1000 * time.Second, Store: memstate.New().Space("p", "d")})
	if err != nil {
		b.Fatal(err)
	}
	if err := step.Open(ctx, stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
		b.Fatal(err)
	}
	const size = 5000
	batch := &stream.Batch{Spans: make([]stream.Span, 1), Records: make([]stream.Record, size)}
	ids := make([]byte, 16*size)
	b.ReportAllocs()
	for at := int64(0); at < int64(b.N); at += size {
		batch.Spans[0] = stream.Span{Partition: part, From: at, To: at + size}
		for i := range batch.Records {
			id := ids[16*i : 16*i+16]
			n := at + int64(i)
			if n%10 == 9 {
				n -= 5
			}
			binary.LittleEndian.PutUint64(id, uint64(n))
			batch.Records[i] = stream.Record{Key: id, Timestamp: at + int64(i), Origin: stream.Coordinate{Partition: part, Offset: at + int64(i)}}
		}
		if err := step.Process(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}
