// Package redisstate keeps the state of steps in Redis, by Lua scripts. Redis holds a function of the Kafka log: every
// write is fenced by content or named by a nonce, repeating it does no harm, and what is lost is found to be lost.
package redisstate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/streamproc/streamproc/stream"
)

// Times. A call that takes longer than these is as good as no answer.
const (
	dialTimeout  = 2 * time.Second
	readTimeout  = 3 * time.Second // APPEND and STEP of a full batch take milliseconds; a cut of a segment some tens
	writeTimeout = 3 * time.Second
	retries      = 1 // every script may be repeated; a longer wait is the step's policy
	poolSize     = 8 // connections of one process to one node
	stateTTL     = 30 * 24 * time.Hour
	redoTTL      = 7 * 24 * time.Hour // a redo blob is applied by the next checkpoint or take-over
)

// aliveKey is what Ping writes, on a cluster several; it belongs to no pipeline.
const (
	aliveKey  = "sp:alive"
	aliveKeys = 32 // on a cluster: enough to meet every master in all likelihood
	aliveTTL  = time.Minute
)

// Options say how to reach Redis.
type Options struct {
	Addrs    []string // one is a server, several are a cluster; with Master they are sentinels
	Master   string   // name of the master that the sentinels watch; "": none
	Username string
	Password string
	DB       int                                                               // not on a cluster
	TLS      *tls.Config                                                       // nil is plain
	Keep     time.Duration                                                     // how long state that nobody touches is kept; 0 is 30 days. At least twice the longest window
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // makes connections; nil: TCP, by TLS if set
	Observe  func(script string, took time.Duration, err error)                // told of each round trip; may be nil
}

// Client is a connection pool to one Redis, for all workers of a process.
type Client struct {
	rdb     redis.UniversalClient
	keep    time.Duration
	observe func(string, time.Duration, error)
}

// quiet keeps go-redis from writing to stderr by itself: what is wrong comes back as an error of a call, and is said once.
type quiet struct{}

// Printf implements the logger of go-redis.
func (quiet) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

// Open makes a client. It does not connect yet.
func Open(o Options) (*Client, error) {
	silence()
	if len(o.Addrs) == 0 {
		return nil, errors.New("redis: no address is given")
	}
	if len(o.Addrs) > 1 && o.Master == "" && o.DB != 0 {
		return nil, errors.New("redis: a cluster has no database numbers")
	}
	c := &Client{keep: o.Keep, observe: o.Observe}
	if c.keep == 0 {
		c.keep = stateTTL
	}
	if c.observe == nil {
		c.observe = func(string, time.Duration, error) {}
	}
	c.rdb = redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addrs, MasterName: o.Master, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS, Dialer: o.Dial,
		DialTimeout: dialTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		MaxRetries: retries, PoolSize: poolSize, ContextTimeoutEnabled: true, DisableIdentity: true,
		// These are offers of one vendor's service. Asking for them costs each new connection a round trip, under a lock that
		// holds up all others while a server does not answer.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return c, nil
}

// Close ends the connections.
func (c *Client) Close() error { return c.rdb.Close() }

// Ping returns nil once Redis, which is every master of a cluster, answers and takes writes; until then the error wraps
// stream.ErrUnavailable. It writes: a Redis without memory, or that is a replica, answers PING as well as any, and a worker
// that believed it would go in and out of its group again and again.
func (c *Client) Ping(ctx context.Context) error {
	const what = "asking Redis for a sign of life"
	if cluster, ok := c.rdb.(*redis.ClusterClient); ok {
		return pingCluster(ctx, what, cluster)
	}
	// A node of a cluster that is taken for a server of its own refuses a key of another node's, for ever.
	info, err := c.rdb.ClusterInfo(ctx).Result()
	var answer redis.Error // it is no cluster, or does not let us ask
	if err == nil && !strings.Contains(info, "cluster_size:1") {
		return fmt.Errorf("%s: this is one node of a cluster: name another of its nodes in addrs, too", what)
	}
	if err == nil || errors.As(err, &answer) {
		err = c.rdb.Set(ctx, aliveKey, 1, aliveTTL).Err()
	}
	if err != nil {
		return classify(what, err)
	}
	return nil
}

func pingCluster(ctx context.Context, what string, c *redis.ClusterClient) error {
	if err := c.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error { return n.Ping(ctx).Err() }); err != nil {
		return classify(what, err)
	}
	p := c.Pipeline()
	for i := range aliveKeys {
		p.Set(ctx, fmt.Sprintf("%s:%d", aliveKey, i), 1, aliveTTL)
	}
	if _, err := p.Exec(ctx); err != nil {
		return classify(what, err)
	}
	return nil
}

// Space is the state of one step of one pipeline. It is the store of a dedup or a reorder step.
type Space struct {
	client *Client
	name   string
}

// Space returns the state of a step. Names are hashed, so that keys hold nothing of a user's.
func (c *Client) Space(pipeline, step string) *Space {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(pipeline), pipeline, step))
	return &Space{client: c, name: hex.EncodeToString(sum[:8])}
}

// tag names a partition. Without a topic id, from brokers before 2.8, a hash of the topic's name stands for it.
func (s *Space) tag(k stream.StateKey) string {
	id := k.TopicID
	if id == [16]byte{} {
		sum := sha256.Sum256([]byte(k.Topic))
		copy(id[:], sum[:])
	}
	return fmt.Sprintf("{sp:%s:%s:%d}", s.name, hex.EncodeToString(id[:]), k.ID)
}

// unavailable are beginnings of answers with which Redis says that it cannot serve now.
var unavailable = []string{"LOADING", "READONLY", "MISCONF", "OOM", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN",
	"BUSY", "MOVED", "ASK", "UNBLOCKED", "ERR max number of clients"}

// classify wraps an error of the client in a sentence, with stream.ErrUnavailable if waiting may help.
func classify(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var answer redis.Error
	var network net.Error
	if errors.As(err, &answer) && !errors.As(err, &network) {
		text := strings.TrimPrefix(answer.Error(), "ERR Error running script: ")
		for _, u := range unavailable {
			if strings.HasPrefix(text, u) || strings.Contains(text, "-"+u) {
				return fmt.Errorf("%s: %w: %w", what, stream.ErrUnavailable, err)
			}
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, stream.ErrUnavailable, err)
}

// call is one script to run.
type call struct {
	tag  string
	args []any
}

// run sends one script for several tags in one round trip, and returns an answer for each. A server that does not know
// the script yet is sent its text, and the calls are made again: all of them may be repeated.
func (c *Client) run(ctx context.Context, name string, s *redis.Script, calls []call) ([]any, error) {
	begin := time.Now()
	answers, err := c.pipeline(ctx, s.EvalSha, calls)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		answers, err = c.pipeline(ctx, s.Eval, calls)
	}
	if err != nil {
		err = classify("running the script "+name+" on Redis", err)
	}
	c.observe(name, time.Since(begin), err)
	return answers, err
}

type eval func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (c *Client) pipeline(ctx context.Context, f eval, calls []call) ([]any, error) {
	cmds := make([]*redis.Cmd, len(calls))
	if len(calls) == 1 {
		cmds[0] = f(ctx, c.rdb, []string{calls[0].tag}, calls[0].args...)
	} else {
		p := c.rdb.Pipeline()
		for i, k := range calls {
			cmds[i] = f(ctx, p, []string{k.tag}, k.args...)
		}
		_, _ = p.Exec(ctx) // the commands hold their errors
	}
	answers := make([]any, len(calls))
	var unknown error
	for i, cmd := range cmds {
		v, err := cmd.Result()
		if err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			return nil, err
		}
		if err != nil {
			unknown = err
		}
		answers[i] = v
	}
	return answers, unknown
}

// one runs a script once.
func (c *Client) one(ctx context.Context, name string, s *redis.Script, tag string, args ...any) (any, error) {
	answers, err := c.run(ctx, name, s, []call{{tag, args}})
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// verdict turns the word with which a script answers into an error.
func verdict(word string) error {
	switch {
	case word == "OK":
		return nil
	case strings.HasPrefix(word, "STALE"):
		return fmt.Errorf("redis says %s: %w", word, stream.ErrStale)
	case strings.HasPrefix(word, "LOST"):
		return fmt.Errorf("redis says %s: %w", word, stream.ErrLost)
	}
	return fmt.Errorf("redis gave an answer that is not understood, of %d bytes", len(word))
}
