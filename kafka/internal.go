package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// MakeTopic makes a topic that one part of a pipeline writes and another reads, unless it is there: with as many partitions as
// the largest of the topics that it is made after, and else as the brokers make topics.
func MakeTopic(ctx context.Context, cluster Cluster, topic string, after []string, log *slog.Logger) error {
	cl, err := kgo.NewClient(append(cluster.options(log), kgo.RetryTimeout(checkPatience))...)
	if err != nil {
		return fmt.Errorf("making a Kafka client: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(ctx, append([]string{topic}, after...)...)
	if err != nil {
		return fmt.Errorf("asking for the partitions of %v: %w", after, err)
	}
	if t := topics[topic]; t.Err == nil && len(t.Partitions) > 0 {
		return nil
	}
	partitions := 0
	for _, name := range after {
		if t := topics[name]; t.Err != nil {
			return topicError(name, t.Err)
		}
		partitions = max(partitions, len(topics[name].Partitions))
	}
	made, err := adm.CreateTopic(ctx, int32(partitions), -1, nil, topic)
	if err == nil {
		err = made.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("making the internal topic %s (make it yourself, with %d partitions, or grant CREATE): %w", topic, partitions, err)
	}
	log.Info("made an internal topic", "topic", topic, "partitions", partitions)
	return nil
}
