package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	feedBuffered = 50_000           // records waiting to be written while feeding, some 12 MB
	readLimit    = 30 * time.Second // without a record, the judge takes the rest for unreadable
)

// topics makes, fills, watches and judges topics.
type topics struct {
	broker string
	admin  *kadm.Client
}

func dialTopics(broker string) (*topics, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DisableClientMetrics())
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", broker, err)
	}
	return &topics{broker, kadm.NewClient(cl)}, nil
}

func (t *topics) close() { t.admin.Close() }

func (t *topics) create(ctx context.Context, names ...string) error {
	for _, name := range names {
		r, err := t.admin.CreateTopic(ctx, partitions, 1, nil, name)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return fmt.Errorf("making topic %s: %w", name, err)
		}
		if err := t.led(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// led waits until a new topic has leaders: a real Kafka answers that it was made before that.
func (t *topics) led(ctx context.Context, name string) error {
	for limit := time.After(readLimit); ; {
		_, _, err := t.ends(ctx, name)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(10 * pause):
		case <-limit:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *topics) remove(ctx context.Context, names ...string) {
	_, _ = t.admin.DeleteTopics(ctx, names...) // best effort: every run has names of its own
}

// feed fills a topic before anything is measured.
func (t *topics) feed(ctx context.Context, topic string, f bid.Feed) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.broker), kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(feedBuffered),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableClientMetrics())
	if err != nil {
		return fmt.Errorf("making a client of %s: %w", t.broker, err)
	}
	defer cl.Close()
	var once sync.Once
	var failed error
	for n, ok := f.Next(); ok; n, ok = f.Next() {
		cl.Produce(ctx, &kgo.Record{Key: bid.Key(n), Value: bid.Append(make([]byte, 0, bid.Size), n)}, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("feeding %s: %w", topic, err)
	}
	if failed != nil {
		return fmt.Errorf("feeding %s: %w", topic, failed)
	}
	return nil
}

// ends is how many records a topic holds, by partition. A transaction adds one marker to each partition that it wrote: of
// half a million records a handful.
func (t *topics) ends(ctx context.Context, topic string) (map[int32]int64, int64, error) {
	listed, err := t.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("listing the ends of %s: %w", topic, err)
	}
	ends, sum := map[int32]int64{}, int64(0)
	listed.Each(func(l kadm.ListedOffset) {
		ends[l.Partition] = l.Offset
		sum += l.Offset
	})
	return ends, sum, nil
}

// judge reads a topic from beginning to end, as one who reads committed records.
func (t *topics) judge(ctx context.Context, topic string, j *bid.Judge) error {
	ends, left, err := t.ends(ctx, topic)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.broker), kgo.ConsumeTopics(topic), kgo.DisableClientMetrics(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return fmt.Errorf("making a client of %s: %w", t.broker, err)
	}
	defer cl.Close()
	at := map[int32]int64{}
	for left > 0 {
		poll, cancel := context.WithTimeout(ctx, readLimit)
		fetches := cl.PollFetches(poll)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading %s, %d records before its end: %w", topic, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				j.Arrived(r.Partition, r.Key, r.Value)
			}
			at[r.Partition] = r.Offset + 1
		})
		left = 0
		for p, end := range ends {
			left += max(end-at[p], 0)
		}
	}
	return nil
}
