package dedup_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/internal/servers"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/stream"
)

// realRedis is a Redis that the test may kill, and a client of it.
func realRedis(t testing.TB, args ...string) (*servers.Redis, *redisstate.Client) {
	t.Helper()
	server := servers.NewRedis(t, servers.RedisOptions{Args: args})
	client, err := redisstate.Open(redisstate.Options{Addrs: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func TestPolicyWhileARealRedisIsAway(t *testing.T) {
	for policy, want := range map[dedup.Unavailable]error{dedup.Stall: stream.ErrUnavailable, dedup.Fail: stream.ErrFailed, dedup.Pass: nil} {
		t.Run(string(policy), func(t *testing.T) {
			server, client := realRedis(t, "--appendfsync", "always")
			now := time.UnixMilli(6_000_000)
			space := client.Space("p", "d")
			step := opened(t, space, policy, func() time.Time { return now })
			if err := step.Process(t.Context(), one(0, "a")); err != nil {
				t.Fatal(err)
			}
			server.Kill()
			b := one(1, "b")
			if err := step.Process(t.Context(), b); !errors.Is(err, want) {
				t.Fatalf("while it is away: %v, want %v", err, want)
			}
			if v, _ := b.Records[0].Header("sp-dedup"); policy == dedup.Pass && string(v) != "unchecked" {
				t.Errorf("the record that passed has sp-dedup: %q", v)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(5 * time.Second)
			if policy != dedup.Pass { // the worker begins again at its commit
				step = opened(t, space, policy, nil)
				b = one(1, "b")
				if err := step.Process(t.Context(), b); err != nil || b.Records[0].Fate != stream.Flowing {
					t.Fatalf("the record that was held up: %v (%v)", b.Records[0].Fate, err)
				}
			}
			for i, id := range []string{"a", "b"} {
				b := one(2+int64(i), id)
				if err := step.Process(t.Context(), b); err != nil || b.Records[0].Fate != stream.Duplicate {
					t.Errorf("a copy of %s, when it is back: %v (%v)", id, b.Records[0].Fate, err)
				}
			}
			if st, err := space.Take(t.Context(), stream.StateKey{}, "x", nil); err != nil || st.Head != 4 {
				t.Errorf("the log ends at %d, want 4 (%v)", st.Head, err)
			}
		})
	}
}

func TestAnIDTakesAtMost18BytesInRedis(t *testing.T) {
	server, client := realRedis(t, "--appendonly", "no")
	step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: client.Space("p", "d")})
	if err != nil {
		t.Fatal(err)
	}
	if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: stream.Commit{Floor: -1}}); err != nil {
		t.Fatal(err)
	}
	before := usedMemory(t, server.Addr())
	const ids, size = 1_000_000, 5000
	for at := int64(0); at < ids; at += size {
		if err := step.Process(context.Background(), firsts(at, size)); err != nil {
			t.Fatal(err)
		}
	}
	perID := float64(usedMemory(t, server.Addr())-before) / ids
	t.Logf("%.2f bytes an id", perID)
	if perID > 18 {
		t.Errorf("an id takes %.2f bytes in Redis", perID)
	}
}

func usedMemory(t *testing.T, addr string) int64 {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	defer c.Close()
	info := c.InfoMap(t.Context(), "memory").Item("Memory", "used_memory")
	n, err := strconv.ParseInt(info, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// firsts is a batch of n ids that were not there before.
func firsts(at int64, n int) *stream.Batch {
	b := &stream.Batch{Spans: []stream.Span{{Partition: part, From: at, To: at + int64(n), Records: n}}}
	for i := range int64(n) {
		b.Records = append(b.Records, stream.Record{Key: binary.LittleEndian.AppendUint64(nil, uint64(at+i)), Timestamp: 5_000_000,
			Origin: stream.Coordinate{Partition: part, Offset: at + i}})
	}
	return b
}

// TestARealRedisThatWasRolledBackIsRepaired cuts the tail of the append-only file, at any byte, as a power cut does.
func TestARealRedisThatWasRolledBackIsRepaired(t *testing.T) {
	server, client := realRedis(t, "--appendfsync", "always", "--aof-load-truncated", "yes")
	space := client.Space("p", "d")
	var log []stream.Record
	for i := range 400 {
		log = append(log, stream.Record{Key: []byte(strconv.Itoa(i * 7 % 250)), Timestamp: 5_000_000, Origin: stream.Coordinate{Partition: part, Offset: int64(i)}})
	}
	repairs := 0
	config := dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: space,
		Events: dedup.Events{Repaired: func(stream.Partition, int64, int64, dedup.StateLoss) { repairs++ }}}
	open := func(at int64) *dedup.Step {
		t.Helper()
		step, err := dedup.New(config)
		if err != nil {
			t.Fatal(err)
		}
		commit := stream.Commit{Floor: at, Head: at}
		if at == 0 {
			commit.Floor = -1
		}
		if err := step.Open(t.Context(), stream.Assignment{Partition: part, Commit: commit, Position: at, History: history{part, log, &commit}}); err != nil {
			t.Fatal(err)
		}
		return step
	}
	firsts := 0
	step := open(0)
	for at := int64(0); at < 400; at += 10 {
		if at%100 == 50 {
			server.Kill()
			if _, err := server.CutLog(300 + 97*at); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := step.Process(t.Context(), batchOf(part, log, at, at+10)); !errors.Is(err, stream.ErrLost) && !errors.Is(err, stream.ErrUnavailable) {
				t.Fatalf("the first call after the roll-back: %v, want lost", err)
			}
			step = open(at)
		}
		for _, said := range judged(t, step, batchOf(part, log, at, at+10)) {
			if said == "flowing 0 " {
				firsts++
			}
		}
	}
	if firsts != 250 || repairs != 4 {
		t.Errorf("%d records were first after %d repairs, want 250 after 4", firsts, repairs)
	}
}
