package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/chaos/judge"
	"github.com/streamproc/streamproc/chaos/load"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lane is one pipeline as seen from outside: what is written into it, and what comes out.
type lane struct {
	name, in, out, dlq string // the group has the pipeline's name
	load               load.Load
	total              int64 // records to write
	fed                atomic.Int64
	waited             time.Time     // when the writing had to wait for the last faults; read after feed
	hold               chan struct{} // closed when the faults are over: the last records are written after them

	mu    sync.Mutex
	judge *judge.Judge
	at    map[string]map[int32]int64 // how far the output was read
}

func newLane(name string, l load.Load, epoch time.Time) *lane {
	n := &lane{name: name, in: name + ".in", out: name + ".out", dlq: name + ".dlq", load: l, hold: make(chan struct{}),
		judge: judge.New(l, epoch), at: map[string]map[int32]int64{name + ".out": {}, name + ".dlq": {}}}
	for range l.All() {
		n.total++
	}
	return n
}

// createTopics makes the topics of the lane: on a cluster each partition survives a broker.
func (l *lane) createTopics(ctx context.Context, brokers []string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return fmt.Errorf("making a client of Kafka: %w", err)
	}
	defer cl.Close()
	stamp, isr := "LogAppendTime", fmt.Sprint(len(brokers)/2+1)
	settings := map[string]*string{"message.timestamp.type": &stamp, "min.insync.replicas": &isr}
	made, err := kadm.NewClient(cl).CreateTopics(ctx, load.Partitions, int16(len(brokers)), settings, l.in, l.out, l.dlq)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		return fmt.Errorf("making the topics of %s: %w", l.name, err)
	}
	return nil
}

// lastShare of the load is written only when the faults are over, so that every one of them happens while records flow.
const lastShare = 0.02

// feed writes the load, at a steady rate that does not catch up after an outage.
func (l *lane) feed(ctx context.Context, brokers []string, rate int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(l.in), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return fmt.Errorf("making a client of Kafka: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	held, next := l.total-int64(float64(l.total)*lastShare), time.Now()
	for t := range l.load.All() {
		if n := l.fed.Load(); n%100 == 0 || n == held {
			next = later(next.Add(100*time.Second/time.Duration(rate)), time.Now().Add(-100*time.Millisecond))
			if err := l.pace(ctx, next, n >= held); err != nil {
				return err
			}
		}
		cl.Produce(ctx, &kgo.Record{Partition: l.load.Partition(t.ID), Key: l.load.AppendKey(nil, t.ID), Value: l.load.AppendValue(nil, t)},
			func(_ *kgo.Record, err error) {
				if err != nil {
					cancel(fmt.Errorf("writing to %s: %w", l.in, err))
				}
			})
		l.fed.Add(1)
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("writing the last records to %s: %w", l.in, err)
	}
	return context.Cause(ctx)
}

// pace waits for the next turn, and at the end for the faults to be over.
func (l *lane) pace(ctx context.Context, next time.Time, last bool) error {
	hold := l.hold
	if !last {
		hold = closed
	}
	select {
	case <-hold:
	default:
		l.waited = time.Now()
	}
	for _, c := range []<-chan struct{}{after(next), hold} {
		select {
		case <-c:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func after(t time.Time) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(time.Until(t), func() { close(c) })
	return c
}

// share is how much of the load has been written, from 0 to 1.
func (l *lane) share() float64 { return float64(l.fed.Load()) / float64(l.total) }

// watch reads the output, as a consumer that sees only what is committed, until ctx ends.
func (l *lane) watch(ctx context.Context, brokers []string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(l.out, l.dlq), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return fmt.Errorf("making a client of Kafka: %w", err)
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		l.mu.Lock()
		fetches.EachRecord(l.take)
		l.mu.Unlock()
	}
	return nil
}

func (l *lane) take(r *kgo.Record) {
	l.at[r.Topic][r.Partition] = r.Offset + 1
	switch {
	case r.Attrs.IsControl():
	case r.Topic == l.dlq:
		l.judge.Dead(r.Timestamp, r.Key, r.Value)
	default:
		l.judge.Out(r.Partition, r.Timestamp, r.Key, r.Value)
	}
}

func (l *lane) missing() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.judge.Missing()
}

// unread is how many offsets of the output are still to be read, those in open transactions among them.
func (l *lane) unread(ctx context.Context, admin *kadm.Client) (n int64, err error) {
	ends, err := admin.ListEndOffsets(ctx, l.out, l.dlq)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("listing the ends of %s: %w", l.out, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset - l.at[o.Topic][o.Partition] })
	return n, nil
}

// lag is how many records of the input the group has not committed.
func (l *lane) lag(ctx context.Context, admin *kadm.Client) (int64, error) {
	lags, err := admin.Lag(ctx, l.name)
	if err == nil {
		err = lags.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the lag of group %s: %w", l.name, err)
	}
	return lags[l.name].Lag.Total(), nil
}
