package pipeline

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/streamproc/streamproc/stream"
)

// broker is a partition's log, a group's commit and the output of a pipeline, in memory. It outlives its clients.
type broker struct {
	mu      sync.Mutex
	log     []stream.Record
	commit  stream.Commit
	wrote   []stream.Record
	dials   int
	dropped int // memberships that let go of what was not committed
}

var input = stream.Partition{Topic: "in"}

func newBroker(values ...string) *broker {
	b := &broker{commit: stream.Commit{Floor: -1, Watermark: noWatermark}}
	for i, v := range values {
		b.log = append(b.log, stream.Record{Key: []byte(strconv.Itoa(i)), Value: []byte(v), Origin: stream.Coordinate{Partition: input, Offset: int64(i)}})
	}
	return b
}

// add makes the log longer.
func (b *broker) add(value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := len(b.log)
	b.log = append(b.log, stream.Record{Key: []byte(strconv.Itoa(at)), Value: []byte(value), Origin: stream.Coordinate{Partition: input, Offset: int64(at)}})
}

// client is one membership; its faults happen once.
type client struct {
	b        *broker
	at       int64
	first    int64
	max      int
	revoking chan stream.Revocation
	room     chan struct{}
	onPoll   func(poll int) error
	onCommit func() error
	refuse   func(stream.Record) bool
	polls    int
	refused  []stream.Record
}

func (b *broker) dial(poll int) *client {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials++
	at := max(b.commit.Floor, 0)
	return &client{b: b, at: at, first: at, max: poll, revoking: make(chan stream.Revocation, 1), room: make(chan struct{}, 1)}
}

func (c *client) Poll(ctx context.Context, b *stream.Batch) error {
	c.polls++
	if c.onPoll != nil {
		if err := c.onPoll(c.polls); err != nil {
			return err
		}
	}
	c.b.mu.Lock()
	end := min(c.at+int64(c.max), int64(len(c.b.log)))
	b.Records = append(b.Records, c.b.log[c.at:end]...)
	c.b.mu.Unlock()
	if end == c.at {
		<-ctx.Done()
		return nil
	}
	b.Spans = append(b.Spans, stream.Span{Partition: input, From: c.at, To: end, Records: int(end - c.at)})
	c.at = end
	return nil
}

func (c *client) Assignment(p stream.Partition) stream.Assignment {
	return stream.Assignment{Partition: p, Commit: c.b.commit, Position: c.first}
}
func (c *client) Revoking() <-chan stream.Revocation { return c.revoking }
func (c *client) Full() bool                         { return false }
func (c *client) Room() <-chan struct{}              { return c.room }
func (c *client) CaughtUp(stream.Partition) bool     { return true }
func (c *client) End(stream.Partition) int64         { return int64(len(c.b.log)) }
func (c *client) Discard()                           { c.b.dropped++ }
func (c *client) Close()                             {}

func (c *client) Write(rs []stream.Record) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for _, r := range rs {
		if c.refuse != nil && c.refuse(r) {
			r.Cause = &stream.Cause{Reason: stream.ReasonProduce, Message: "too large"}
			c.refused = append(c.refused, r)
			continue
		}
		c.b.wrote = append(c.b.wrote, r)
	}
}

func (c *client) Flush(context.Context) ([]stream.Record, error) {
	rs := c.refused
	c.refused = nil
	return rs, nil
}

func (c *client) Commit(_ context.Context, marks []stream.Mark) error {
	if c.onCommit != nil {
		if err := c.onCommit(); err != nil {
			return err
		}
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for _, m := range marks {
		if m.Commit.Floor < c.b.commit.Floor {
			return errors.New("a commit goes backwards")
		}
		c.b.commit = m.Commit
	}
	return nil
}

func (c *client) Replay(_ context.Context, p stream.Partition, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	from = max(from, 0)
	b := stream.Batch{Spans: []stream.Span{{Partition: p, From: from, To: to, Records: int(to - from)}}}
	b.Records = append(b.Records, c.b.log[from:to]...)
	return from, visit(&b)
}

func (c *client) Committed(context.Context, stream.Partition) (stream.Commit, error) {
	return c.b.commit, nil
}
