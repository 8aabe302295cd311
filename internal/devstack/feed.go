package devstack

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"
)

// feedBuffer is how many records may wait for Kafka: a feed faster than that waits itself.
const feedBuffer = 1000

// Record is one record to be fed. A nil Key or Value is null.
type Record struct {
	Key, Value []byte
	Headers    map[string]string
	Timestamp  int64 // milliseconds since the Unix epoch; 0 is now
}

// Feed writes each record to each of the topics, at perSecond records a second, or as fast as they are taken if that is 0.
// It returns once all are acknowledged, or with the first error, and says how many records of each topic were.
func Feed(ctx context.Context, brokers, topics []string, records iter.Seq[Record], perSecond float64) (int, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.AllowAutoTopicCreation(),
		kgo.MaxBufferedRecords(feedBuffer),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		return 0, fmt.Errorf("dialling Kafka to feed %v: %w", topics, err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := feeder{client: client, topics: topics, limit: rate.NewLimiter(rate.Inf, 1), cancel: cancel}
	if perSecond > 0 {
		f.limit.SetLimit(rate.Limit(perSecond))
	}
	return f.run(ctx, records)
}

type feeder struct {
	client *kgo.Client
	topics []string
	limit  *rate.Limiter
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	acked int
}

func (f *feeder) run(ctx context.Context, records iter.Seq[Record]) (int, error) {
	for r := range records {
		if f.limit.Wait(ctx) != nil {
			break
		}
		for _, topic := range f.topics {
			f.client.Produce(ctx, kafkaRecord(topic, r), f.acknowledged)
		}
	}
	err := f.client.Flush(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	acked := f.acked / max(len(f.topics), 1)
	if err != nil {
		return acked, fmt.Errorf("feeding %v: %w", f.topics, err)
	}
	return acked, nil
}

func (f *feeder) acknowledged(_ *kgo.Record, err error) {
	if err != nil {
		f.cancel(err)
		return
	}
	f.mu.Lock()
	f.acked++
	f.mu.Unlock()
}

func kafkaRecord(topic string, r Record) *kgo.Record {
	record := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(r.Headers[name])})
	}
	if r.Timestamp != 0 {
		record.Timestamp = time.UnixMilli(r.Timestamp)
	}
	return record
}
