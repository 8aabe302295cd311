package dedup_test

import (
	"context"
	"encoding/binary"
	"runtime"
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

// BenchmarkOpen loads the log of a partition with ten million ids, as a worker does that is given it. Beside the time of the
// whole it tells what an id takes in the store and in the worker.
func BenchmarkOpen(b *testing.B) {
	const ids, size = 10_000_000, 5000
	ctx := context.Background()
	part := stream.Partition{Topic: "t"}
	space := memstate.New().Space("p", "d")
	open := func(at int64) *dedup.Step {
		step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: space})
		if err != nil {
			b.Fatal(err)
		}
		commit := stream.Commit{Floor: at, Head: at}
		if at == 0 {
			commit.Floor = -1
		}
		if err := step.Open(ctx, stream.Assignment{Partition: part, Commit: commit, Position: at}); err != nil {
			b.Fatal(err)
		}
		return step
	}
	step := open(0)
	batch := &stream.Batch{Spans: make([]stream.Span, 1), Records: make([]stream.Record, size)}
	for at := int64(0); at < ids; at += size {
		batch.Spans[0] = stream.Span{Partition: part, From: at, To: at + size}
		for i := range batch.Records {
			batch.Records[i] = stream.Record{Key: binary.LittleEndian.AppendUint64(nil, uint64(at)+uint64(i)), Timestamp: 1, Origin: stream.Coordinate{Partition: part, Offset: at + int64(i)}}
		}
		if err := step.Process(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	st, err := space.Take(ctx, stream.StateKey{Partition: part}, "x", nil)
	if err != nil {
		b.Fatal(err)
	}
	var stored int64
	for _, n := range st.Lengths {
		stored += n
	}
	step, batch = nil, nil
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	for b.Loop() {
		step = open(ids)
	}
	b.ReportMetric((heap()-before)/ids, "heap-B/id")
	b.ReportMetric(float64(stored)/ids, "stored-B/id")
	runtime.KeepAlive(step)
}
