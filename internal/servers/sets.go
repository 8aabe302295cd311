package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/process"
)

// RedisCluster is a cluster of three nodes without replicas, each with a third of the slots.
type RedisCluster struct{ Nodes []*Redis }

const (
	clusterNodes = 3
	clusterSlots = 16384
)

// Addrs returns the addresses of the nodes.
func (c *RedisCluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

// NewRedisCluster starts a cluster for one test alone.
func NewRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	buses, err := freePorts(clusterNodes)
	if err != nil {
		t.Fatal(err)
	}
	c := &RedisCluster{}
	for i := range clusterNodes {
		c.Nodes = append(c.Nodes, NewRedis(t, RedisOptions{Args: []string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", strconv.Itoa(buses[i]), "--cluster-node-timeout", "2000"}}))
	}
	for i, n := range c.Nodes {
		first, last := clusterSlots*i/clusterNodes, clusterSlots*(i+1)/clusterNodes-1
		if err := n.Expect(ctx, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", first, last), "+OK"); err != nil {
			t.Fatal(err)
		}
		if err := n.Expect(ctx, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d", c.Nodes[0].port, buses[0]), "+OK"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		if err := n.process.Await(ctx, func(ctx context.Context) error {
			return n.says(ctx, "CLUSTER INFO", "cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3")
		}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// SentinelMaster is the name of the master that the sentinel of a RedisSet watches.
const SentinelMaster = "state"

// RedisSet is a master, a replica of it, and a sentinel that makes the replica the master when the master is gone.
type RedisSet struct {
	Master, Replica *Redis
	Sentinel        string // its address
}

// NewRedisSet starts a set for one test alone.
func NewRedisSet(t testing.TB) *RedisSet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	s := &RedisSet{Master: NewRedis(t, RedisOptions{})}
	s.Replica = NewRedis(t, RedisOptions{Args: []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(s.Master.port)}})
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s.Sentinel = local(ports[0])
	dir := t.TempDir()
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n",
		ports[0], dir, SentinelMaster, s.Master.port)
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Options{Path: "redis-server", Log: filepath.Join(dir, "sentinel.log"), Args: []string{file, "--sentinel"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	sentinel := &Redis{port: ports[0]}
	if err := p.Await(ctx, func(ctx context.Context) error {
		return errors.Join(sentinel.says(ctx, "INFO sentinel", "status=ok", "slaves=1"), s.Replica.says(ctx, "INFO replication", "master_link_status:up"))
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// says sends one line of the inline protocol and looks for words in the text that is answered.
func (r *Redis) says(ctx context.Context, line string, words ...string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return fmt.Errorf("dialling Redis: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
		return fmt.Errorf("sending %s to Redis: %w", line, err)
	}
	in := bufio.NewReader(conn)
	var size int
	if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
		return fmt.Errorf("reading what Redis answers to %s: %w", line, err)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return fmt.Errorf("reading what Redis answers to %s: %w", line, err)
	}
	for _, w := range words {
		if !strings.Contains(string(text), w) {
			return fmt.Errorf("Redis does not say %s to %s yet", w, line)
		}
	}
	return nil
}
