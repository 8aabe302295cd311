// Package floor is the least program a tuned user of franz-go would write to copy a topic: a group member that polls, produces
// and commits once a second. What it costs is what every figure of the bench is measured against.
package floor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options name the copy.
type Options struct {
	Broker, Group, In, Out string
	CommitInterval         time.Duration
}

const (
	maxPoll     = 10_000           // records a poll: large enough that polling costs nothing a record
	maxBuffered = 50_000           // records waiting to be written, some 12 MB
	flushLimit  = 10 * time.Second // how long the last flush may take
)

// Run copies until ctx ends; it then flushes and commits what it has read.
func Run(ctx context.Context, o Options) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(o.Broker), kgo.ConsumerGroup(o.Group), kgo.ConsumeTopics(o.In),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DefaultProduceTopic(o.Out), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(maxBuffered),
		kgo.FetchMinBytes(64<<10), kgo.FetchMaxWait(200*time.Millisecond), kgo.DisableClientMetrics())
	if err != nil {
		return fmt.Errorf("making the client of the floor: %w", err)
	}
	defer cl.CloseAllowingRebalance()
	c := copier{cl: cl}
	c.done = c.written
	return c.run(ctx, o.CommitInterval)
}

type copier struct {
	cl     *kgo.Client
	failed atomic.Pointer[error]
	done   func(*kgo.Record, error)
}

func (c *copier) written(_ *kgo.Record, err error) {
	if err != nil {
		c.failed.CompareAndSwap(nil, &err)
	}
}

func (c *copier) run(ctx context.Context, interval time.Duration) error {
	next := time.Now().Add(interval)
	for ctx.Err() == nil {
		poll, cancel := context.WithDeadline(ctx, next)
		fetches := c.cl.PollRecords(poll, maxPoll)
		cancel()
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
				return fmt.Errorf("reading %s/%d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			c.cl.Produce(context.Background(), &kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, c.done)
		})
		if !time.Now().Before(next) {
			if err := c.commit(); err != nil {
				return err
			}
			next = time.Now().Add(interval)
		}
		c.cl.AllowRebalance()
	}
	return c.commit()
}

// commit promises what was polled once all of it is written.
func (c *copier) commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	if err := c.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	if err := c.failed.Load(); err != nil {
		return fmt.Errorf("writing a record: %w", *err)
	}
	if err := c.cl.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
