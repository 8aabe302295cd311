package devstack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 30 * time.Second

func start(t *testing.T, o Options) (context.Context, *Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return ctx, s
}

func numbered(n int) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for i := range n {
			if !yield(Record{Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i), Timestamp: int64(i + 1)}) {
				return
			}
		}
	}
}

func TestWhatIsFedCanBeRead(t *testing.T) {
	const n = 2500
	ctx, s := start(t, Options{Topics: map[string]int{"in": 2}, DataDir: t.TempDir()})
	acked, err := Feed(ctx, s.Brokers(), []string{"in"}, numbered(n), 0)
	if err != nil || acked != n {
		t.Fatalf("Feed acknowledged %d records, %v", acked, err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...), kgo.ConsumeTopics("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	seen := make(map[string]int64)
	for len(seen) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("after %d records: %v", len(seen), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = r.Timestamp.UnixMilli() })
	}
	if seen["v41"] != 42 {
		t.Errorf("v41 carries the time %d, want 42", seen["v41"])
	}
}

func TestFeedStopsWithItsContext(t *testing.T) {
	ctx, s := start(t, Options{})
	ctx, cancel := context.WithCancel(ctx)
	endless := func(yield func(Record) bool) {
		for yield(Record{Value: []byte("x")}) {
			cancel()
		}
	}
	if _, err := Feed(ctx, s.Brokers(), []string{"in"}, endless, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Feed returned %v", err)
	}
}

func TestRedisForgetsWhatExpires(t *testing.T) {
	ctx, s := start(t, Options{})
	client := redis.NewClient(&redis.Options{Addr: s.RedisAddr()})
	defer client.Close()
	if err := client.Set(ctx, "a", "1", 200*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	for client.Exists(ctx, "a").Val() != 0 {
		if ctx.Err() != nil {
			t.Fatal("the key never expired")
		}
	}
}

func TestTopicWithTooManyPartitionsIsRefused(t *testing.T) {
	if _, err := Start(t.Context(), Options{Topics: map[string]int{"in": maxPartitionsATopic + 1}}); err == nil {
		t.Error("it was accepted")
	}
}
