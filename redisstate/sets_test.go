package redisstate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/streamproc/streamproc/internal/statetest"
	"github.com/streamproc/streamproc/stream"
)

// everywhere is a cluster under the suite.
type everywhere struct {
	*Client
	t testing.TB
}

func (e everywhere) Space(pipeline, step string) statetest.Space {
	return e.Client.Space(pipeline, step)
}

func (e everywhere) each(do func(context.Context, *redis.Client) error) {
	if err := e.rdb.(*redis.ClusterClient).ForEachMaster(context.Background(), do); err != nil {
		e.t.Fatal(err)
	}
}

func (e everywhere) Wipe() {
	e.each(func(ctx context.Context, n *redis.Client) error { return n.FlushAll(ctx).Err() })
}

func (e everywhere) Snapshot() func() {
	ctx := context.Background()
	dump := map[string]string{}
	keys := make(chan string, 1000)
	e.each(func(ctx context.Context, n *redis.Client) error {
		for _, k := range n.Keys(ctx, "*").Val() {
			keys <- k
		}
		return nil
	})
	close(keys)
	for k := range keys {
		dump[k] = e.rdb.Dump(ctx, k).Val()
	}
	return func() {
		e.Wipe()
		for k, v := range dump {
			if err := e.rdb.Restore(ctx, k, time.Hour, v).Err(); err != nil {
				e.t.Fatal(err)
			}
		}
	}
}

func TestAClusterPassesTheSuite(t *testing.T) {
	cluster := servers.NewRedisCluster(t)
	c, err := Open(Options{Addrs: cluster.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	statetest.Run(t, everywhere{c, t})
	t.Run("PartitionsOfAllNodesInOneCall", func(t *testing.T) { spread(t, c, cluster) })
	t.Run("TheLeastSafeNodeIsTold", func(t *testing.T) {
		if err := cluster.Nodes[2].Expect(t.Context(), "CONFIG SET maxmemory-policy allkeys-lru", "+OK"); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Check(t.Context()); err != nil || !r.Evicts() || len(r.Warnings) != 1 {
			t.Errorf("the report is %+v (%v)", r, err)
		}
	})
	t.Run("ANodeThatIsAwayIsUnavailable", func(t *testing.T) {
		cluster.Nodes[1].Kill()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for errors.Is(c.Ping(ctx), nil) {
			if ctx.Err() != nil {
				t.Fatal("a node is away, and Redis is said to be there")
			}
		}
		if err := c.Ping(ctx); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("Ping: %v", err)
		}
		entries := appends("t", 40, 10)
		if err := c.Space("p", "spread").Append(ctx, entries); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("Append: %v", err)
		}
	})
}

// appends are entries for so many partitions.
func appends(token string, partitions int, from int64) []stream.LogAppend {
	list := make([]stream.LogAppend, partitions)
	for i := range list {
		list[i] = stream.LogAppend{Key: stream.StateKey{Partition: stream.Partition{Topic: "t", ID: int32(i)}}, Token: token, From: from, To: from + 10,
			Segment: 1, Length: from, First: 1, Data: []byte("0123456789"), Init: from == 0}
	}
	return list
}

// spread appends to 40 partitions at once, after the nodes have forgotten the scripts.
func spread(t *testing.T, c *Client, cluster *servers.RedisCluster) {
	space := c.Space("p", "spread")
	list := appends("t", 40, 0)
	for i := range list {
		if _, err := space.Take(t.Context(), list[i].Key, "t", []byte("s")); err != nil {
			t.Fatal(err)
		}
	}
	everywhere{c, t}.each(func(ctx context.Context, n *redis.Client) error { return n.ScriptFlush(ctx).Err() })
	if err := space.Append(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if list[i].Err != nil {
			t.Errorf("partition %d: %v", i, list[i].Err)
		}
	}
	for i, n := range cluster.Nodes {
		if size, err := n.Ask(t.Context(), "DBSIZE"); err != nil || size == ":0" {
			t.Errorf("node %d holds %s keys (%v)", i, size, err)
		}
	}
}

func TestOneNodeOfAClusterIsNotTakenForAServer(t *testing.T) {
	cluster := servers.NewRedisCluster(t)
	for _, addr := range cluster.Addrs() {
		c, err := Open(Options{Addrs: []string{addr}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); err == nil || errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "addrs") {
			t.Errorf("Ping: %v, want an error that names the remedy", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAReplicaTakesOver kills the master under a sentinel: what was replicated is there, and what was not is found to be lost.
func TestAReplicaTakesOver(t *testing.T) {
	set := servers.NewRedisSet(t)
	c, err := Open(Options{Addrs: []string{set.Sentinel}, Master: servers.SentinelMaster})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	space, key := c.Space("p", "s"), stream.StateKey{}
	if _, err := space.Take(ctx, key, "a", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	entry := func(from int64) []stream.LogAppend {
		return []stream.LogAppend{{Token: "a", From: from, To: from + 10, Segment: 1, Length: from, First: 1, Data: []byte("0123456789"), Init: from == 0}}
	}
	write := func(from int64) error {
		e := entry(from)
		return errors.Join(space.Append(ctx, e), e[0].Err)
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	if n, err := c.rdb.(*redis.Client).Wait(ctx, 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("replicated to %d (%v)", n, err)
	}
	// The replica hears nothing of the next entry, which the master acknowledges.
	if err := set.Replica.Expect(ctx, "REPLICAOF NO ONE", "+OK"); err != nil {
		t.Fatal(err)
	}
	if err := write(10); err != nil {
		t.Fatal(err)
	}
	set.Master.Kill()
	var st stream.LogState
	for {
		if st, err = space.Take(ctx, key, "b", []byte("another")); err == nil {
			break
		}
		if !errors.Is(err, stream.ErrUnavailable) {
			t.Fatalf("while nobody is master: %v", err)
		}
		if ctx.Err() != nil {
			t.Fatalf("no master within a minute: %v", err)
		}
	}
	if st.Head != 10 || string(st.Secret) != "secret" {
		t.Errorf("after the take-over the log ends at %d, want 10", st.Head)
	}
	if err := write(20); !errors.Is(err, stream.ErrStale) {
		t.Errorf("the owner of before appends: %v, want stale", err)
	}
	e := entry(20)
	e[0].Token = "b"
	if err := errors.Join(space.Append(ctx, e), e[0].Err); !errors.Is(err, stream.ErrLost) {
		t.Errorf("appending behind what the failover dropped: %v, want lost", err)
	}
}
