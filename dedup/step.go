// Package dedup lets the first record of every id through, and knows a copy when it sees one within the window.
//
// The window is log time and its scope one partition, so the verdict of an offset is a pure function of the partition's
// Kafka log. The step keeps the ids of the window in memory, as digests, and writes its verdicts to a partition log in a
// store before anything of the batch goes on; a redelivered offset gets the verdict it had. What the store forgets is
// derived again from Kafka.
//
// The step must see the offsets of a partition in order: it may not stand behind a step that holds records back.
package dedup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Mode says what becomes of a duplicate.
type Mode string

// The modes.
const (
	Drop    Mode = "drop"    // it is not processed
	Tag     Mode = "tag"     // it goes on with the header sp-duplicate-of
	Observe Mode = "observe" // it goes on, and is counted
	Side    Mode = "side"    // it leaves the flow for the sink Config.Side, with the header sp-duplicate-of
)

// Unavailable says what to do while the store is away.
type Unavailable string

// The policies. None of them drops a record.
const (
	Stall Unavailable = "stall" // wait for it
	Pass  Unavailable = "pass"  // go on; records carry sp-dedup: unchecked
	Fail  Unavailable = "fail"  // exit
)

// StateLoss says what to do when the store has forgotten a partition.
type StateLoss string

// The policies.
const (
	Rebuild StateLoss = "rebuild" // derive the verdicts again from the retained log
	Halt    StateLoss = "halt"    // stop the pipeline
	Accept  StateLoss = "accept"  // go on with an empty memory: copies of forgotten ids pass
)

// The headers that the step writes. The first copy's offset is not known, for only digests are kept: sp-duplicate-of
// names the partition, topic/number.
const (
	headerDuplicate = "sp-duplicate-of"
	headerDedup     = "sp-dedup"
)

// Store keeps the partition logs. Calls block until ctx ends, and are made by the worker's goroutine. An error of the
// call wraps stream.ErrUnavailable when the store is away; verdicts about the caller's view of the log are
// stream.ErrStale and stream.ErrLost. Repeating a call whose answer was lost does no harm. Nothing passed in is retained.
type Store interface {
	// Take makes token the only one that may append, and returns what there is. The secret is kept if the log has none.
	Take(ctx context.Context, key stream.StateKey, token string, secret []byte) (stream.LogState, error)
	// Read returns up to n bytes of a segment from offset from.
	Read(ctx context.Context, key stream.StateKey, segment, from int64, n int) ([]byte, error)
	// Append adds entries, in order, in one round trip, and sets Err of each.
	Append(ctx context.Context, entries []stream.LogAppend) error
	// Cut makes the log end at head: later segments are removed, and segment is cut to length bytes. A segment below the
	// first removes the log, and head is -1 then.
	Cut(ctx context.Context, key stream.StateKey, token string, segment, length, head int64) error
}

// Config is what a Step is made of.
type Config struct {
	Name   string // of the step, for dead letters and errors
	Key    func(*stream.Record) ([]byte, error)
	Window time.Duration
	Mode   Mode
	Side   stream.Sink // for mode side

	OnUnavailable Unavailable
	OnStateLoss   StateLoss
	Store         Store
	Now           func() time.Time // nil is time.Now
	Events        Events
}

// Events are told what happened; each may be nil. They are called by the worker's goroutine.
type Events struct {
	// Judged counts the verdicts of a batch.
	Judged func(Verdicts)
	// Repaired says that offsets [from, to) of a partition were derived again, or given up.
	Repaired func(p stream.Partition, from, to int64, how StateLoss)
}

// Verdicts are counts of records by what the step said of them.
type Verdicts struct {
	First, Duplicate int
	Known            int // redelivered records, judged before; also counted as First or Duplicate
	Unchecked        int // passed while the store was away; also counted as First
}

// Step is dedup for the partitions of one worker.
type Step struct {
	Config
	parts        map[stream.Partition]*partition
	appends      []stream.LogAppend // of this batch
	backlog      []stream.LogAppend // of earlier batches, while the store is away and the policy is to pass
	buffer       []byte             // memory of the entries in appends
	backlogBytes int
	retryAt      time.Time
	counts       Verdicts
}

// New checks the configuration and returns a step without partitions.
func New(c Config) (*Step, error) {
	switch {
	case c.Key == nil || c.Store == nil:
		return nil, fmt.Errorf("dedup step %s: key and store are required", c.Name)
	case c.Window < time.Second:
		return nil, fmt.Errorf("dedup step %s: window %s is shorter than 1s", c.Name, c.Window)
	case c.Mode == Side && c.Side == stream.NoSink:
		return nil, fmt.Errorf("dedup step %s: mode side needs a sink", c.Name)
	}
	c.Mode = orElse(c.Mode, Drop)
	c.OnUnavailable = orElse(c.OnUnavailable, Stall)
	c.OnStateLoss = orElse(c.OnStateLoss, Rebuild)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Step{Config: c, parts: map[stream.Partition]*partition{}}, nil
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Process judges every record, and stores the verdicts before it returns.
func (s *Step) Process(ctx context.Context, b *stream.Batch) error {
	s.appends, s.buffer, s.counts = s.appends[:0], s.buffer[:0], Verdicts{}
	now := s.Now()
	if err := s.walk(b, now); err != nil {
		return err
	}
	for _, span := range b.Spans {
		if p := s.parts[span.Partition]; p != nil && !p.blind {
			p.finish(s, span.To)
		}
	}
	if err := s.store(ctx, b, now); err != nil {
		return err
	}
	if s.Events.Judged != nil {
		s.Events.Judged(s.counts)
	}
	return nil
}

// walk judges the records of a batch. Outputs of one offset stand together and are numbered by sub.
func (s *Step) walk(b *stream.Batch, now time.Time) error {
	var p *partition
	last, sub := int64(-1), 0
	for i := range b.Records {
		r := &b.Records[i]
		if p == nil || p.key.Partition != r.Origin.Partition {
			if p = s.parts[r.Origin.Partition]; p == nil {
				return fmt.Errorf("dedup step %s: partition %s was not opened", s.Name, r.Origin.Partition)
			}
			last = -1
		}
		if sub++; r.Origin.Offset != last {
			last, sub = r.Origin.Offset, 0
		}
		if err := s.judge(p, b, i, sub, now); err != nil {
			return err
		}
	}
	return nil
}

// judge says first or duplicate of record i.
func (s *Step) judge(p *partition, b *stream.Batch, i, sub int, now time.Time) error {
	r := &b.Records[i]
	if r.Origin.Offset < p.done {
		return fmt.Errorf("dedup step %s: offset %s came after %d: dedup may not stand behind a step that holds records back: %w",
			s.Name, r.Origin, p.done, stream.ErrHalt)
	}
	if p.blind {
		s.uncheck(r)
		return nil
	}
	id, cause := s.id(r, sub)
	if cause != nil {
		b.Fail(i, cause)
		return nil
	}
	known := r.Origin.Offset < p.head
	first, err := p.judge(s, r, sub, id, now)
	if err != nil {
		return err
	}
	if known {
		s.counts.Known++
	}
	if first {
		s.counts.First++
	} else {
		s.counts.Duplicate++
		s.duplicate(p, b, i)
	}
	return nil
}

// id takes the id out of a record, or says why there is none.
func (s *Step) id(r *stream.Record, sub int) ([]byte, *stream.Cause) {
	if sub > subLimit {
		return nil, &stream.Cause{Step: s.Name, Reason: stream.ReasonLimit, Message: fmt.Sprintf("more than %d records came of one input", subLimit)}
	}
	id, err := s.Key(r)
	if err != nil {
		c := &stream.Cause{Step: s.Name, Reason: stream.ReasonDecode, Message: err.Error()}
		var reasoned interface{ Reason() stream.Reason }
		if errors.As(err, &reasoned) {
			c.Reason = reasoned.Reason()
		}
		return nil, c
	}
	if id == nil {
		return nil, &stream.Cause{Step: s.Name, Reason: stream.ReasonDecode, Message: "the record has no id"}
	}
	return id, nil
}

// duplicate does to record i what the mode says.
func (s *Step) duplicate(p *partition, b *stream.Batch, i int) {
	r := &b.Records[i]
	switch s.Mode {
	case Drop:
		b.Settle(i, stream.Duplicate)
	case Tag:
		r.SetHeader(headerDuplicate, p.label)
	case Side:
		r.SetHeader(headerDuplicate, p.label)
		r.Sink = s.Side
		b.Settle(i, stream.Duplicate)
	}
}

func (s *Step) uncheck(r *stream.Record) {
	r.SetHeader(headerDedup, []byte("unchecked"))
	s.counts.Unchecked++
}

// Derive returns a step that judges the log of p, read from its start, in memory alone.
func (s *Step) Derive(p stream.Partition) *Derived {
	d := &Derived{step: Step{Config: s.Config, parts: map[stream.Partition]*partition{}}}
	d.step.Events = Events{}
	part := newPartition(stream.StateKey{Partition: p}, s.Window)
	part.hash, part.volatile = newHasher(newSecret()), true
	if open := s.parts[p]; open != nil {
		part.skips = open.skips
	}
	d.step.parts[p] = part
	return d
}

// Derived is dedup without a store.
type Derived struct{ step Step }

// Process judges every record.
func (d *Derived) Process(_ context.Context, b *stream.Batch) error {
	return d.step.walk(b, d.step.Now())
}

// Close forgets a partition.
func (s *Step) Close(p stream.Partition) {
	delete(s.parts, p)
	s.forgetBacklog(p)
}
