// Package pipeline is the flow: a worker polls, runs the steps, writes, and commits, one checkpoint after another.
// It speaks stream and the standard library alone; what plays its ports is chosen in daemon/build.go.
package pipeline

import (
	"context"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Step turns the records of a batch into others. Process is called by the worker's goroutine only, and marks, replaces or
// holds records as stream.Batch describes. An error means that the batch cannot be processed now (stream.ErrUnavailable
// and its kin); the fault of one record is that record's Cause, never an error.
type Step interface {
	Process(ctx context.Context, b *stream.Batch) error
}

// Stateful is a Step that keeps state for each partition. Open is called before the first record of a partition in a
// membership, and reads or repairs its state; Close when the partition is gone or the worker is rebuilt, and does no I/O.
type Stateful interface {
	Step
	Open(ctx context.Context, a stream.Assignment) error
	Close(p stream.Partition)
}

// Successor is a Stateful step that takes the place of one that has partitions open, when a worker takes new stages. Without
// it the old one stays.
type Successor interface {
	Stateful
	// Succeed takes over what old knows of its partitions.
	Succeed(old Step)
}

// Deriver is a Stateful step that can be replayed without its store: Derive returns a step that gives the verdicts this
// one would give to the log of partition p read from its start, in memory alone. History.Replay uses it.
type Deriver interface {
	Derive(p stream.Partition) Step
}

// Holder is a Stateful step that holds records back, and so holds back the offset to commit.
type Holder interface {
	Stateful
	// Held returns how many inputs of p it holds, and the lowest of their offsets.
	Held(p stream.Partition) (inputs int, floor int64)
	// Watermark returns the event time up to which p was released, in ms, or math.MinInt64.
	Watermark(p stream.Partition) int64
	// Oldest returns since when the input of that offset is held, or the zero time.
	Oldest(p stream.Partition) time.Time
	// Note returns what Open wants to find in the commit of p beside the watermark, as stream.Commit describes.
	Note(p stream.Partition) string
}

// Ticker is a step that releases records as time passes. Tick appends them to an empty batch. caughtUp says for a
// partition whether everything in it has been polled, so that the wall clock may stand in for stream time.
type Ticker interface {
	Tick(ctx context.Context, b *stream.Batch, now time.Time, caughtUp func(stream.Partition) bool) error
}

// Checkpointed is a step whose state changes become valid with a commit. Prepare stores the changes of the partitions
// under nonce, in one round trip, while outputs are flushed; it is called from a goroutine of its own while the worker's
// goroutine waits. Committed says that Kafka has accepted the commit that names nonce.
type Checkpointed interface {
	Prepare(ctx context.Context, nonce string, ps []stream.Partition) error
	Committed(nonce string, ps []stream.Partition)
}

// Client is one membership of a consumer group with the sinks of its worker. All methods are called from the worker's
// goroutine. A client that has returned an error is closed, and another one dialled.
type Client interface {
	// Poll fills the batch with what has come, at most a poll's records, waiting for it until ctx ends. It returns early
	// with what it has, perhaps nothing, when partitions are being revoked.
	Poll(ctx context.Context, b *stream.Batch) error
	// Assignment describes a partition of the last poll, for a step that opens its state.
	Assignment(p stream.Partition) stream.Assignment
	// Revoking delivers a revocation that waits for the worker to end its checkpoint. The group does not wait for ever.
	Revoking() <-chan stream.Revocation
	// Write hands records to their sinks. It does not block; it retains Key, Value and Headers until they are written.
	Write(rs []stream.Record)
	// Full says that more bytes wait to be written than is allowed; Room is signalled when that may have changed.
	Full() bool
	Room() <-chan struct{}
	// Flush returns once everything written is acknowledged. Records that the brokers refuse for good are returned, with
	// Fate and Sink as written, for the dead letters; any other trouble is an error.
	Flush(ctx context.Context) ([]stream.Record, error)
	// Commit commits the marks, which are of partitions polled since the last commit, after it has made sure that they
	// are still owned as they were when polled.
	Commit(ctx context.Context, marks []stream.Mark) error
	// CaughtUp says whether everything in the partition has been polled.
	CaughtUp(p stream.Partition) bool
	// End is the end of a partition that was polled, as of the last fetch that brought records of it.
	End(p stream.Partition) int64
	// Replay reads [from, to) of a partition again, unfiltered, as History.Replay describes.
	Replay(ctx context.Context, p stream.Partition, from, to int64, visit func(*stream.Batch) error) (int64, error)
	// Committed asks the brokers for the commit of a partition.
	Committed(ctx context.Context, p stream.Partition) (stream.Commit, error)
	// Discard lets go of what was written and not committed, so that nobody waits for it. The client is then good for
	// nothing but Revoking and Close. It is bounded in time.
	Discard()
	// Close leaves the group. It is bounded in time.
	Close()
}
