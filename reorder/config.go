// Package reorder puts records in order again: by a sequence number for each key, or by event time for each partition.
//
// Records that must wait do so in memory, and hold back the offset to commit, so that a crash reads them again. Time is
// stream time: the running maximum of the records' timestamps, which moves with the wall clock only while everything in
// the partition has been read. A backlog therefore fires no timer.
package reorder

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// OnGap says what to do when a missing sequence did not come within MaxWait.
type OnGap string

// The policies.
const (
	Skip        OnGap = "skip" // go on with the lowest that waits
	DeadLetters OnGap = "dlq"  // send what has waited to the dead letters, with what comes before it
	HaltAtGap   OnGap = "halt" // stop the pipeline
)

// Late says what becomes of a record that comes when its turn has passed.
type Late string

// The policies.
const (
	LateDeadLetters Late = "dlq"
	LateDrop        Late = "drop"
	LatePass        Late = "pass" // it goes on, out of order, with the header sp-late
	LateSide        Late = "side" // it leaves the flow for the sink Config.Side, with the header sp-late
)

// StateLoss says what to do when the store has forgotten a partition.
type StateLoss string

// The policies.
const (
	Rebuild StateLoss = "rebuild" // derive the sequences again from the retained log
	Halt    StateLoss = "halt"    // stop the pipeline
	Accept  StateLoss = "accept"  // go on as if every key were new
)

const (
	headerWaited = "sp-waited" // how long the record was held, as a duration
	headerLate   = "sp-late"
	// aheadLimit is how far a timestamp may be ahead of the wall clock and still move stream time.
	aheadLimit = time.Hour

	defaultMaxWait     = 5 * time.Second
	defaultMaxBuffered = 100_000
	defaultMaxBytes    = 256 << 20 // of one partition's waiting records
	defaultMaxFuture   = time.Hour
	defaultForget      = 7 * 24 * time.Hour
	keysLimit          = 200_000   // keys of a partition remembered in memory; more are looked up again
	namesLimit         = 64 << 20  // bytes of their names, likewise
	rebuildKeysLimit   = 5_000_000 // keys of a partition that a rebuild can hold, about 100 bytes each beside their names
	rebuildNamesLimit  = 1 << 30   // bytes of their names
)

// Store keeps the next sequence of every key. Calls block until ctx ends. An error of the call wraps
// stream.ErrUnavailable when the store is away. Repeating a call whose answer was lost does no harm. Nothing passed in is
// retained.
type Store interface {
	// Recover makes token the only one that may restore, and the state that of the checkpoint named nonce; stream.ErrLost
	// if the store does not have it.
	Recover(ctx context.Context, key stream.StateKey, token, nonce string) error
	// Next looks keys up, in one round trip, and sets Err of each query.
	Next(ctx context.Context, queries []stream.NextQuery) error
	// Step stores the changes of a checkpoint and applies those of the one before, in one round trip, and sets Err of each.
	Step(ctx context.Context, redos []stream.Redo) error
	// Restore replaces the state by that of the checkpoint named nonce.
	Restore(ctx context.Context, key stream.StateKey, token, nonce string, next iter.Seq2[string, stream.Next]) error
}

// Config is what a step is made of. Errors of Key, Sequence and Time send the record to the dead letters; one with a
// method Reason() stream.Reason names the cause, the others are decode.
type Config struct {
	Name     string
	Key      func(*stream.Record) ([]byte, error) // by sequence
	Sequence func(*stream.Record) (int64, error)  // by sequence
	Time     func(*stream.Record) (int64, error)  // by time: milliseconds since the Unix epoch

	First int64 // by sequence: where a new key starts
	Any   bool  // by sequence: a new key starts with the lowest that came within MaxWait

	MaxWait     time.Duration // 0 is 5s
	MaxBuffered int           // records held for one partition; 0 is 100,000
	MaxBytes    int           // of their keys and values; 0 is 256 MiB
	IdleTimeout time.Duration // by time: a partition that is read to its end and brings nothing for so long is let go; 0 is MaxWait
	ForgetAfter time.Duration // by sequence: a key that does not come for so long, at most twice, is a new one then; 0 is 7 days
	MaxFuture   time.Duration // by time: a record whose event time is further ahead of its timestamp counts as of its timestamp; 0 is 1h
	OnGap       OnGap
	Late        Late
	Side        stream.Sink
	OnStateLoss StateLoss
	Store       Store            // by sequence
	Now         func() time.Time // nil is time.Now
	Events      Events
}

// Events are told what happened; each may be nil. They are called by the worker's goroutine.
type Events struct {
	Waited  func(time.Duration)                               // a record was released
	Gap     func(p stream.Partition, action string)           // skip, dlq or forced
	Late    func(p stream.Partition)                          // a record came too late
	Rebuilt func(p stream.Partition, keys int, how StateLoss) // the store had forgotten
}

func (c *Config) complete() error {
	c.MaxWait = orElse(c.MaxWait, defaultMaxWait)
	c.MaxBuffered = orElse(c.MaxBuffered, defaultMaxBuffered)
	c.MaxBytes = orElse(c.MaxBytes, defaultMaxBytes)
	c.IdleTimeout = orElse(c.IdleTimeout, c.MaxWait)
	c.MaxFuture = orElse(c.MaxFuture, defaultMaxFuture)
	c.ForgetAfter = orElse(c.ForgetAfter, max(defaultForget, c.MaxWait))
	c.OnGap = orElse(c.OnGap, Skip)
	c.Late = orElse(c.Late, LateDeadLetters)
	c.OnStateLoss = orElse(c.OnStateLoss, Rebuild)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxWait < 0 || c.MaxBuffered < 1 {
		return fmt.Errorf("reorder step %s: max_wait and max_buffered must be above 0", c.Name)
	}
	if c.ForgetAfter < c.MaxWait {
		return fmt.Errorf("reorder step %s: forget_after must not be below max_wait", c.Name)
	}
	if c.Late == LateSide && c.Side == stream.NoSink {
		return fmt.Errorf("reorder step %s: late: side needs a sink", c.Name)
	}
	return nil
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// cause says why a record cannot be put in order.
func (c *Config) cause(err error) *stream.Cause {
	cause := &stream.Cause{Step: c.Name, Reason: stream.ReasonDecode, Message: err.Error()}
	var reasoned interface{ Reason() stream.Reason }
	if errors.As(err, &reasoned) {
		cause.Reason = reasoned.Reason()
	}
	return cause
}

// late does to record i of the batch what the policy says.
func (c *Config) late(b *stream.Batch, i int) {
	r := &b.Records[i]
	if c.Events.Late != nil {
		c.Events.Late(r.Origin.Partition)
	}
	switch c.Late {
	case LateDrop:
		b.Settle(i, stream.Late)
	case LatePass:
		r.SetHeader(headerLate, []byte("true"))
	case LateSide:
		r.SetHeader(headerLate, []byte("true"))
		r.Sink = c.Side
		b.Settle(i, stream.Late)
	default:
		r.Cause = &stream.Cause{Step: c.Name, Reason: stream.ReasonLate, Message: "its turn had passed when it came"}
		b.Settle(i, stream.Late) // late is what it is, wherever it goes: the ledger says so, and on_error has no say
	}
}

// waited marks a record that was held beyond its batch.
func (c *Config) waited(h *held, now time.Time) {
	waited := now.Sub(h.since)
	if waited <= 0 {
		return
	}
	h.record.SetHeader(headerWaited, []byte(waited.Round(time.Microsecond).String()))
	if c.Events.Waited != nil {
		c.Events.Waited(waited)
	}
}
