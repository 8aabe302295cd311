package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	added              chan struct{} // closed when the input has its further partitions, or is made anew
	waits              atomic.Bool   // for partitions, or for the faults to be over: nothing flows

	mu    sync.Mutex
	judge *judge.Judge
	at    map[string]map[int32]int64 // how far the output was read
}

func newLane(name string, l load.Load, epoch time.Time) *lane {
	n := &lane{name: name, in: name + ".in", out: name + ".out", dlq: name + ".dlq", load: l, hold: make(chan struct{}), added: make(chan struct{}),
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
	return create(ctx, kadm.NewClient(cl), len(brokers), l.in, l.out, l.dlq)
}

func create(ctx context.Context, admin *kadm.Client, brokers int, topics ...string) error {
	stamp, isr := "LogAppendTime", fmt.Sprint(brokers/2+1)
	settings := map[string]*string{"message.timestamp.type": &stamp, "min.insync.replicas": &isr}
	made, err := admin.CreateTopics(ctx, load.Partitions, int16(brokers), settings, topics...)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		return fmt.Errorf("making the topics %v: %w", topics, err)
	}
	return nil
}

// The last records of a load are written only when the faults are over, so that every one of them happens while records flow.
// Before that they trickle, if the faults take longer than the load.
const (
	lastShare   = 0.02
	lastSeconds = 10  // at most, at the rate of the load
	trickle     = 20  // times slower
	turn        = 100 // records at a time
)

// askEvery is how often the writer tries again what failed: its silence is not to be taken for that of what it feeds.
const askEvery = 100 * time.Millisecond

// feed writes the load, at a steady rate that does not catch up after an outage.
func (l *lane) feed(ctx context.Context, brokers []string, rate int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, err := l.dial(brokers)
	if err != nil {
		return err
	}
	defer func() { out.Close() }()
	failed := func(_ *kgo.Record, err error) {
		if err != nil {
			cancel(fmt.Errorf("writing to %s: %w", l.in, err))
		}
	}
	held := l.total - min(int64(float64(l.total)*lastShare), int64(lastSeconds*rate))
	next, grown := time.Now(), l.load.Grown == 0
	for t := range l.load.All() {
		if n := l.fed.Load(); n%turn == 0 || n == held {
			if next, err = l.pace(ctx, next, rate, n >= held, l.total-n <= turn); err != nil {
				return err
			}
		}
		if !grown && t.ID >= l.load.Grown {
			if out, err = l.grow(ctx, out, brokers); err != nil {
				return err
			}
			grown = true
		}
		out.Produce(ctx, &kgo.Record{Partition: l.load.Partition(t), Key: l.load.AppendKey(nil, t.ID), Value: l.load.AppendValue(nil, t)}, failed)
		l.fed.Add(1)
	}
	if err := out.Flush(ctx); err != nil {
		return fmt.Errorf("writing the last records to %s: %w", l.in, err)
	}
	return context.Cause(ctx)
}

func (l *lane) dial(brokers []string) (*kgo.Client, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(l.in), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(askEvery), kgo.RetryBackoffFn(func(int) time.Duration { return askEvery }))
	if err != nil {
		return nil, fmt.Errorf("making a client of Kafka: %w", err)
	}
	return cl, nil
}

// grow waits until the input has its further partitions, or is made anew, and gives a client that knows them.
func (l *lane) grow(ctx context.Context, old *kgo.Client, brokers []string) (*kgo.Client, error) {
	if err := old.Flush(ctx); err != nil {
		return old, fmt.Errorf("writing the records before %s changes: %w", l.in, err)
	}
	if err := l.await(ctx, l.added); err != nil {
		return old, err
	}
	cl, err := l.dial(brokers)
	if err != nil {
		return old, err
	}
	old.Close()
	return cl, nil
}

// await waits for c, and says meanwhile that nothing flows.
func (l *lane) await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	default:
	}
	l.waits.Store(true)
	defer l.waits.Store(false)
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pace waits for the next turn: at the end, while faults go on, longer, and for the last one until they are over.
func (l *lane) pace(ctx context.Context, next time.Time, rate int, end, last bool) (time.Time, error) {
	gap, hold := turn*time.Second/time.Duration(rate), l.hold
	select {
	case <-hold:
		end = false
	default:
		if last {
			l.waited = time.Now()
			return time.Now(), l.await(ctx, hold)
		}
	}
	if end {
		gap *= trickle
	} else {
		hold = nil
	}
	next = later(next.Add(gap), time.Now().Add(-100*time.Millisecond))
	select {
	case <-after(next):
	case <-hold:
		next = time.Now()
	case <-ctx.Done():
		return next, context.Cause(ctx)
	}
	return next, nil
}

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

// latest is the moment since which something new came out of every partition.
func (l *lane) latest() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.judge.Flow().Latest(load.Partitions)
}

// lag is how many records of the input, and of internal topics behind it, the groups of the pipeline have not committed.
func (l *lane) lag(ctx context.Context, admin *kadm.Client) (n int64, err error) {
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing the groups: %w", err)
	}
	ours := slices.DeleteFunc(groups.Groups(), func(g string) bool { return g != l.name && !strings.HasPrefix(g, l.name+".") })
	lags, err := admin.Lag(ctx, ours...)
	if err == nil {
		err = lags.Error()
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("asking for the lag of %s, groups %v: %w", l.name, ours, err)
	case len(ours) == 0:
		return 0, fmt.Errorf("asking for the lag of %s: it has no group", l.name)
	}
	lags.Each(func(g kadm.DescribedGroupLag) { n += g.Lag.Total() })
	return n, nil
}
