package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	batchBytes      = 1_000_012       // of one batch, where the topic takes as much: what it takes by default, less a margin
	batchBytesLeast = 512             // franz-go writes none that are smaller
	batchPatience   = 2 * time.Second // for a topic to say what it takes; it is not asked again and again
	recordOverhead  = 128             // of a batch of one record, beside its key, value and headers
)

// batchLimits are what topics take in one batch (max.message.bytes). A broker refuses a batch as a whole, and with one record
// that is too large its innocent neighbours; within the limit franz-go refuses that record alone. Safe for concurrent use.
type batchLimits struct {
	cluster Cluster
	log     *slog.Logger
	mu      sync.Mutex
	known   map[string]int32
}

func newBatchLimits(cluster Cluster, log *slog.Logger) *batchLimits {
	return &batchLimits{cluster: cluster, log: log, known: map[string]int32{}}
}

// option makes a client ask, once for each topic, as it learns of its partitions.
func (b *batchLimits) option() kgo.Opt { return kgo.ProducerBatchMaxBytesFn(b.of) }

func (b *batchLimits) of(topic string) int32 {
	if topic == "" { // franz-go looks whether the function is sound
		return batchBytes
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n, ok := b.known[topic]; ok {
		return n
	}
	n, err := b.ask(context.Background(), topic)
	if err != nil {
		b.log.Debug("what a topic takes in one batch is not known", "topic", topic, "error", err)
	}
	b.known[topic] = n
	return n
}

// narrowed says that a topic takes less by now than it did when the client was made.
func (b *batchLimits) narrowed(ctx context.Context, topic string) error {
	n, err := b.ask(ctx, topic)
	if was := b.of(topic); err == nil && n < was {
		return fmt.Errorf("topic %s takes %d bytes in one batch by now, no longer %d: what it refused is written again", topic, n, was)
	}
	return nil
}

// ask returns what a topic takes; where it does not say, what topics take by default.
func (b *batchLimits) ask(ctx context.Context, topic string) (int32, error) {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	cl, err := kgo.NewClient(append(b.cluster.options(b.log), kgo.RetryTimeout(batchPatience))...)
	if err != nil {
		return batchBytes, fmt.Errorf("making a Kafka client: %w", err)
	}
	defer cl.Close()
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return batchBytes, fmt.Errorf("asking for the settings of topic %s: %w", topic, err)
	}
	for _, r := range configs {
		for _, c := range r.Configs {
			if n, err := strconv.Atoi(c.MaybeValue()); err == nil && c.Key == "max.message.bytes" {
				return int32(max(batchBytesLeast, min(n, batchBytes))), nil
			}
		}
		err = r.Err
	}
	return batchBytes, err
}

// fits says that a record is not too large by itself for a batch.
func fits(r *stream.Record, limit int32) bool {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + recordOverhead/8
	}
	return n <= int(limit)
}
