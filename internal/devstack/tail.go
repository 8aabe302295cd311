package devstack

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Seen is one record that was written to a topic.
type Seen struct {
	Topic      string
	Key, Value []byte
	Headers    map[string]string
}

// Tail calls each for every record of the topics, from their beginning, until ctx ends, which is no error. It calls from
// one goroutine, in the order of each partition; topics that do not exist yet are waited for.
func Tail(ctx context.Context, brokers, topics []string, each func(Seen)) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AllowAutoTopicCreation(),
	)
	if err != nil {
		return fmt.Errorf("dialling Kafka to read %v: %w", topics, err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("reading %s: %w", e.Topic, e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) { each(seen(r)) })
	}
}

func seen(r *kgo.Record) Seen {
	s := Seen{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: make(map[string]string, len(r.Headers))}
	for _, h := range r.Headers {
		s.Headers[h.Key] = string(h.Value)
	}
	return s
}
