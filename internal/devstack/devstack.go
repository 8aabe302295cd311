// Package devstack runs a Kafka and a Redis in this process: for dev, for tests that need no real server, and for the
// smoke run of the bench. They speak the real protocols on ports of 127.0.0.1; they are no measure of speed.
package devstack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Defaults and limits. A group member may ask for short sessions here, so that tests of failure are quick.
const (
	DefaultPartitions   = 4
	minSessionTimeout   = 100 * time.Millisecond
	maxSessionTimeout   = 5 * time.Minute
	redisClockInterval  = 100 * time.Millisecond
	maxPartitionsATopic = 1024 // a topic costs memory per partition
)

// Options say what the stack holds when it comes up.
type Options struct {
	Topics     map[string]int // partitions of each topic; 0 is Partitions
	Partitions int            // of topics that are made on demand; 0 is DefaultPartitions
	DataDir    string         // where Kafka keeps its records; empty keeps them on the heap
}

// Stack is a Kafka and a Redis in this process.
type Stack struct {
	kafka *kfake.Cluster
	redis *miniredis.Miniredis
	stop  context.CancelFunc
	done  chan struct{}
	once  sync.Once
}

// Start brings both up. They run until Close, or until ctx ends for the clock of Redis alone.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Partitions == 0 {
		o.Partitions = DefaultPartitions
	}
	options, err := kafkaOptions(o)
	if err != nil {
		return nil, err
	}
	kafka, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka in the process: %w", err)
	}
	redis := miniredis.NewMiniRedis()
	if err := redis.Start(); err != nil {
		kafka.Close()
		return nil, fmt.Errorf("starting Redis in the process: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	s := &Stack{kafka: kafka, redis: redis, stop: stop, done: make(chan struct{})}
	go s.turnClock(ctx)
	return s, nil
}

func kafkaOptions(o Options) ([]kfake.Opt, error) {
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(o.Partitions),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.GroupMaxSessionTimeout(maxSessionTimeout),
	}
	if o.DataDir != "" {
		options = append(options, kfake.DataDir(o.DataDir))
	}
	for _, topic := range slices.Sorted(maps.Keys(o.Topics)) {
		partitions := o.Topics[topic]
		if partitions == 0 {
			partitions = o.Partitions
		}
		if partitions < 1 || partitions > maxPartitionsATopic {
			return nil, fmt.Errorf("topic %s asks for %d partitions, which is not in 1..%d", topic, partitions, maxPartitionsATopic)
		}
		options = append(options, kfake.SeedTopics(int32(partitions), topic))
	}
	return options, nil
}

// turnClock lets keys expire: the clock of miniredis stands still by itself.
func (s *Stack) turnClock(ctx context.Context) {
	defer close(s.done)
	ticks := time.NewTicker(redisClockInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.redis.FastForward(redisClockInterval)
		}
	}
}

// Brokers returns the addresses of Kafka.
func (s *Stack) Brokers() []string { return s.kafka.ListenAddrs() }

// RedisAddr returns the address of Redis, as host:port.
func (s *Stack) RedisAddr() string { return s.redis.Addr() }

// Close takes both down and waits for what Start began. It may be called again.
func (s *Stack) Close() {
	s.once.Do(func() {
		s.stop()
		<-s.done
		s.kafka.Close()
		s.redis.Close()
	})
}
