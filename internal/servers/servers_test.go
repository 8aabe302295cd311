package servers

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func dial(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestKafkaKeepsRecordsThroughAKillAndAsksForPasswords(t *testing.T) {
	k := NewKafka(t, KafkaOptions{SASL: true})
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	client := dial(t, k.Brokers(), kgo.ConsumeTopics("kept"))
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	record := &kgo.Record{Topic: "kept", Value: []byte("v")}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for name, mechanism := range map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: User, Pass: Password}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: User, Pass: Password}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: User, Pass: Password}.AsSha512Mechanism(),
	} {
		if err := dial(t, k.SASLBrokers(), kgo.SASL(mechanism)).Ping(ctx); err != nil {
			t.Errorf("logging in with %s: %v", name, err)
		}
	}
	wrong := plain.Auth{User: User, Pass: "wrong"}.AsMechanism()
	if err := dial(t, k.SASLBrokers(), kgo.SASL(wrong)).Ping(ctx); err == nil {
		t.Error("a wrong password was accepted")
	}
	k.Kill()
	if err := k.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	fetches := client.PollFetches(ctx)
	if err := fetches.Err0(); err != nil || fetches.NumRecords() != 1 {
		t.Errorf("%d records after the kill, %v", fetches.NumRecords(), err)
	}
}

func TestRedisIsSilentWhilePausedAndForgetsWhenFlushed(t *testing.T) {
	r := NewRedis(t, RedisOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	if err := r.Expect(ctx, "SET a 1", "+OK"); err != nil {
		t.Fatal(err)
	}
	if err := r.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Expect(ctx, "EXISTS a", ":0"); err != nil {
		t.Error(err)
	}
	if err := r.Pause(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	short, cancelShort := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancelShort()
	if err := r.Expect(short, "PING", "+PONG"); err == nil {
		t.Error("Redis answers while it is paused")
	}
	r.Kill()
	if err := r.Restart(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRedisIsAsItWasBeforeWhenItsLogIsCut(t *testing.T) {
	r := NewRedis(t, RedisOptions{Args: []string{"--appendfsync", "always"}})
	for _, word := range []string{"one", "two"} {
		if err := r.Expect(t.Context(), "SET a "+word, "+OK"); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := r.Memory(t.Context()); err != nil || n < 100_000 {
		t.Errorf("%d bytes in use (%v)", n, err)
	}
	r.Kill()
	if n, err := r.CutLog(3); n != 3 || err != nil {
		t.Fatalf("cut %d bytes (%v)", n, err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Ask(t.Context(), "STRLEN a"); got != ":3" || err != nil {
		t.Errorf("a has length %s (%v)", got, err)
	}
	if err := r.Expect(t.Context(), "EVAL \"return redis.call('get', 'a') == 'one'\" 0", ":1"); err != nil {
		t.Error(err)
	}
}

func TestRedisWithAFullDiskRefusesWritesUntilThereIsSpace(t *testing.T) {
	r := NewRedis(t, RedisOptions{Disk: true})
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	answers := func(want string) {
		t.Helper()
		if err := r.process.Await(ctx, func(ctx context.Context) error {
			got, err := r.Ask(ctx, "SET a 1")
			if err == nil && !strings.HasPrefix(got, want) {
				err = fmt.Errorf("Redis answers %q", got)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	answers("+OK")
	if err := r.FillDisk(); err != nil {
		t.Fatal(err)
	}
	answers("-MISCONF")
	if err := r.FreeDisk(ctx); err != nil {
		t.Fatal(err)
	}
	answers("+OK")
}

func TestAReplicaHasWhatItsMasterHas(t *testing.T) {
	master, replica := NewRedis(t, RedisOptions{Args: []string{"--repl-diskless-sync-delay", "0"}}), NewRedis(t, RedisOptions{})
	if err := master.Expect(t.Context(), "SET a 1", "+OK"); err != nil {
		t.Fatal(err)
	}
	if err := replica.Follow(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	if err := replica.Expect(t.Context(), "EXISTS a", ":1"); err != nil {
		t.Error(err)
	}
}

func TestNoPortIsGivenTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		ports, err := freePorts(5)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ports {
			if seen[p] || p < firstPort || p >= endPort {
				t.Errorf("port %d", p)
			}
			seen[p] = true
		}
	}
}

func TestSharedServersAreShared(t *testing.T) {
	if a, b := RedisAddr(t), RedisAddr(t); a != b {
		t.Errorf("two tests get %s and %s", a, b)
	}
}
