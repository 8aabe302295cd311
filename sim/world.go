package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/streamproc/streamproc/sim/judge"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	brokerPort = 9093
	redisPort  = ":6379"
	redisAddr  = "127.0.0.1" + redisPort // an IP address: go-redis looks a name up, which ends a bubble
	partitions = 4
	inTopic    = "in"
	outTopic   = "out"
	deadTopic  = "dead"
	sampled    = 100 * time.Millisecond // how often committed offsets are looked at
)

// world is what an engine finds around it: a Kafka, a Redis, a network, and the book that the run is judged by.
type world struct {
	plan  *plan
	trace *trace
	tally tally
	net   kfake.VirtualNetwork
	kafka *kfake.Cluster
	redis atomic.Pointer[store]

	mu       sync.Mutex
	hosts    []*host
	commits  map[string][]judge.Commit // by group
	troubles []judge.Trouble
}

func newWorld(seed uint64, topics map[string]int32) (*world, error) {
	w := &world{plan: newPlan(seed), trace: &trace{}, commits: map[string][]judge.Commit{}}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(brokerPort), kfake.ListenFn(w.net.Listen)}
	var err error
	if w.kafka, err = kfake.NewCluster(opts...); err != nil {
		return nil, fmt.Errorf("starting a fake Kafka: %w", err)
	}
	for topic, n := range topics {
		if err := w.kafka.CreateTopic(topic, n, nil); err != nil {
			return nil, fmt.Errorf("creating topic %s: %w", topic, err)
		}
	}
	w.redis.Store(newStore())
	return w, nil
}

// afterlife is how long the clients of dead hosts may take to notice, and to end.
const afterlife = 5 * time.Minute

func (w *world) close() {
	for _, h := range w.hosts {
		h.mu.Lock()
		h.die()
		h.mu.Unlock()
	}
	time.Sleep(afterlife)
	w.redis.Load().close()
	w.kafka.Close()
}

func (w *world) dial(ctx context.Context, network, addr string, toRedis bool) (net.Conn, error) {
	if toRedis {
		return w.redis.Load().dial()
	}
	return w.net.DialContext(ctx, network, addr)
}

// trouble notes that a fault begins now, and lasts.
func (w *world) trouble(lasts time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = append(w.troubles, judge.Trouble{From: time.Now(), To: time.Now().Add(lasts)})
}

// watch samples the offsets that groups hold until ctx ends.
func (w *world) watch(ctx context.Context, groups ...string) {
	last := map[string]map[int32]int64{}
	for {
		for _, g := range groups {
			if last[g] == nil {
				last[g] = map[int32]int64{}
			}
			w.sample(g, last[g])
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sampled):
		}
	}
}

func (w *world) sample(group string, last map[int32]int64) {
	info := w.kafka.GroupInfo(group)
	if info == nil {
		return
	}
	for _, ps := range info.Commits {
		for p, c := range ps {
			if had, ok := last[p]; ok && had == c.Offset {
				continue
			}
			last[p] = c.Offset
			w.mu.Lock()
			w.commits[group] = append(w.commits[group], judge.Commit{Partition: p, Offset: c.Offset, At: c.At})
			w.mu.Unlock()
		}
	}
}

// client is a Kafka client of ours, which no fault touches.
func (w *world) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(w.kafka.ListenAddrs()...), kgo.Dialer(w.net.DialContext))...)
}

// store is one life of the Redis server. A rollback ends it and begins another from what an earlier snapshot held.
type store struct {
	m  *miniredis.Miniredis
	mu sync.Mutex
	// conns are open connections of hosts; nil once the server is gone.
	conns []net.Conn
}

func newStore() *store {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	return &store{m: m, conns: []net.Conn{}}
}

func (s *store) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return nil, errors.New("connection refused")
	}
	far, err := s.m.Dial()
	if err != nil {
		return nil, err
	}
	c := buffered(far)
	s.conns = append(s.conns, c)
	return c, nil
}

// buffered puts a buffer behind what far sends, as a network does. Miniredis holds its lock while it answers: a host that
// is frozen and does not read would stop the clock.
func buffered(far net.Conn) net.Conn {
	near, middle := net.Pipe()
	answers := make(chan []byte, 4096)
	go func() {
		_, _ = io.Copy(far, middle)
		_, _ = far.Close(), middle.Close()
	}()
	go func() {
		defer close(answers)
		for {
			b := make([]byte, 4096)
			n, err := far.Read(b)
			if err != nil {
				return
			}
			answers <- b[:n]
		}
	}()
	go func() {
		for b := range answers {
			_, _ = middle.Write(b)
		}
		_ = middle.Close()
	}()
	return near
}

// cut breaks the connections of all hosts to this server; dead: and accepts no others.
func (s *store) cut(dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	if s.conns = s.conns[:0]; dead {
		s.conns = nil
	}
}

// back accepts connections again.
func (s *store) back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = []net.Conn{}
	}
}

func (s *store) close() {
	s.cut(true)
	s.m.Close()
}

// content is all that a server holds.
type content struct {
	strings map[string]string
	hashes  map[string]map[string]string
}

// everything reads the whole of a server at one moment: a script is atomic.
const everything = `
local out = {}
for _, k in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', k).ok == 'hash' then out[#out+1] = {k, 'hash', redis.call('HGETALL', k)}
  else out[#out+1] = {k, 'string', redis.call('GET', k)} end
end
return out`

func (s *store) snapshot(ctx context.Context) (content, error) {
	c := content{map[string]string{}, map[string]map[string]string{}}
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr, DisableIdentity: true, PoolSize: 1,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return s.m.Dial() }})
	defer rdb.Close()
	keys, err := rdb.Eval(ctx, everything, nil).Slice()
	if err != nil {
		return c, fmt.Errorf("reading all of Redis: %w", err)
	}
	for _, k := range keys {
		if err := c.add(k); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *content) add(entry any) error {
	e, ok := entry.([]any)
	if !ok || len(e) != 3 {
		return fmt.Errorf("reading all of Redis: %v is no entry", entry)
	}
	key, _ := e[0].(string)
	if text, ok := e[2].(string); ok {
		c.strings[key] = text
		return nil
	}
	fields, _ := e[2].([]any)
	h := map[string]string{}
	for pair := range slices.Chunk(fields, 2) {
		name, _ := pair[0].(string)
		h[name], _ = pair[1].(string)
	}
	c.hashes[key] = h
	return nil
}

// restart begins another life of the server with a content.
func (w *world) restart(c content) {
	s := newStore()
	for k, v := range c.strings {
		_ = s.m.Set(k, v)
	}
	for k, h := range c.hashes {
		for f, v := range h {
			s.m.HSet(k, f, v)
		}
	}
	w.redis.Swap(s).close()
}
