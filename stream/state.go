package stream

import (
	"context"
	"errors"
)

// Commit is what Kafka holds for one partition of a consumer group: the only commit record there is.
type Commit struct {
	Floor     int64  // lowest offset not released yet: where reading starts; -1 if nothing was read yet
	Head      int64  // next offset never polled; ≥ Floor. Records in [Floor, Head) have been through the steps before; without a floor the group begins here
	Nonce     string // names the state change that belongs to this commit; "" if none
	Watermark int64  // event time up to which records were released, in milliseconds; math.MinInt64 if none
	Note      string // what else the step that holds records back wants to find again: printable, without "|", below 1,000 bytes
	Skips     Skips  // what an operator has skipped
}

// Assignment is one partition given to a worker, from OnPartitionsAssigned to its revocation.
type Assignment struct {
	Partition Partition
	TopicID   [16]byte // tells a topic apart from an earlier one of the same name
	Commit    Commit
	Position  int64 // first offset that was polled: Commit.Floor, or where the group started
	History   History
}

// History reads the partition's retained log again, on behalf of one step, when its state was lost. Calls block; they
// honour ctx, and are made on the worker's goroutine.
type History interface {
	// Replay visits the records of [from, to) as they reach the step that asks, which means through the steps before it,
	// without any effect. from < 0 is the start of the retained log. It returns the first offset that was visited or, if
	// there are no records, from (0 if from < 0). The batch is reused after visit returns.
	Replay(ctx context.Context, from, to int64, visit func(*Batch) error) (start int64, err error)
	// Committed asks Kafka again for the commit: it may have moved since the assignment, if this worker is late.
	Committed(ctx context.Context) (Commit, error)
}

// Errors that end a checkpoint; a step or port returns them wrapped in a sentence. Everything else that is not a
// record's own fault rebuilds the worker.
var (
	// ErrUnavailable: a dependency is away. The worker waits for it, keeping its membership, and then rebuilds.
	ErrUnavailable = errors.New("dependency is unavailable")
	// ErrStale: another worker has taken the partition over. The worker rebuilds.
	ErrStale = errors.New("another worker has taken over")
	// ErrLost: the store has forgotten state that it had acknowledged. The worker rebuilds, and repairs it on take-over.
	ErrLost = errors.New("state was lost")
	// ErrHalt: going on would break a promise. The pipeline stops before this record and says why.
	ErrHalt = errors.New("pipeline halted")
	// ErrFailed: a dependency is away, and the policy says to exit rather than to wait (exit code 69).
	ErrFailed = errors.New("dependency is unavailable and the policy is to fail")
)

// Mark is what a checkpoint commits for one partition.
type Mark struct {
	Partition Partition
	Commit    Commit
}

// Revocation asks the worker to end its checkpoint, because Partitions go to another member. Ended says that it has; the
// call returns when the partitions are given up.
type Revocation struct {
	Partitions []Partition
	Ended      func()
}
