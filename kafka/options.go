// Package kafka is the only door to franz-go: the member of a consumer group that a worker is, its sinks, the history
// of a partition, and what can be said about a cluster before records flow.
package kafka

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Cluster says how to reach one Kafka cluster.
type Cluster struct {
	Brokers  []string // host:port
	ClientID string
	TLS      *tls.Config // nil: plaintext
	SASL     SASL
	Events   Events
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // makes connections; nil: TCP, by TLS if set
}

// SASL is how a client proves who it is. Mechanism is "", PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct{ Mechanism, Username, Password string }

// Group is one consumer group's view of its input.
type Group struct {
	Name           string
	Topics         []string
	Start          Start         // where to read a partition for which the group has no offset
	SessionTimeout time.Duration // after this the partitions of a dead member move on
	PollRecords    int           // largest number of records of one poll
	PollBytes      int           // largest fetch from one broker; a single larger batch of the log comes all the same. 0: the client's own
	TrustedTopics  map[string]bool

	// Consumer chooses the group protocol in which the brokers assign partitions (KIP-848); SessionTimeout is theirs then.
	Consumer bool
	// Member, if not empty, names the member: unique among the living of the group, and the same again after a restart.
	// Fresh says that this process has not been in the group under the name: what an earlier one has left there is taken out.
	Member string
	Fresh  bool
	// TransactionalID, if not empty, makes the outputs and the offsets of a checkpoint one transaction. It is unique among
	// the living, and the same again after a restart: the brokers then end at once what a dead holder left open.
	TransactionalID string
}

// TransactionTimeout is how long a transaction of the group may stay open.
func (g *Group) TransactionTimeout() time.Duration {
	if g.Consumer {
		return consumerTransaction
	}
	return transactionTimeout(g.SessionTimeout)
}

// session is how long the group misses nobody who is silent.
func (g *Group) session() time.Duration {
	if g.Consumer {
		return consumerSession
	}
	return g.SessionTimeout
}

// silence is how long the group may be silent before a commit is refused (guard G2).
func (g *Group) silence() time.Duration { return g.session() / 2 }

// balancing are the options of the group protocol.
func (g *Group) balancing() []kgo.Opt {
	if g.Consumer {
		return []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()), kgo.RebalanceTimeout(rebalanceMax)}
	}
	return []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(g.SessionTimeout),
		kgo.HeartbeatInterval(g.SessionTimeout / heartbeatsPerSession), kgo.RebalanceTimeout(rebalanceTimeout(g.SessionTimeout))}
}

// rebalanceTimeout is how long the group waits for a member that is alive to join anew. It needs what a revocation may take,
// and its Close waits for a JoinGroup in flight. Longer than a session is of no use: a member that died while it joined is
// missed only once the others are let in, so that its silence is this and a session.
func rebalanceTimeout(session time.Duration) time.Duration {
	return min(max(session, rebalanceMin), rebalanceMax)
}

// Start is a place in a log: its beginning, its end, or the first record at a time.
type Start struct {
	Latest bool
	At     time.Time // zero: the beginning, or the end if Latest
}

// Output is one sink: a topic, and how it is written.
type Output struct {
	Topic       string
	Cluster     *Cluster // nil: the cluster of the source
	Compression string   // "", none, gzip, snappy, lz4, zstd
	Linger      time.Duration
	Internal    bool // another part of the pipeline reads it; it is made where it is missing
}

const (
	software, softwareVersion = "streamproc", "0"

	consumerSession     = 45 * time.Second // what brokers have unless told otherwise (group.consumer.session.timeout.ms)
	consumerTransaction = 8 * time.Second  // as with the session timeout that the classic protocol has by default

	heartbeatsPerSession = 6                      // a heartbeat this often keeps half a session's silence well above one lost beat
	rebalanceMin         = 2 * revokeWait         // a member may be told late, and then ends a checkpoint
	rebalanceMax         = 10 * time.Second       // Close waits for a JoinGroup in flight: keep it far below a drain's limit
	fetchMaxWait         = 250 * time.Millisecond // how long the broker may wait for data
	maxBatchBytes        = 128 << 20              // one batch, decompressed: a bomb is an error, not an outage
	maxProducedRecords   = 1 << 30                // never reached: the worker stops polling at its own limit of bytes first

	// After a broker has died the others take over within seconds, at a moment that nobody tells us. So we ask often, and go on
	// asking for longer than they take: what gives up earlier loses its membership, which costs more than the brokers' own time.
	retryMin       = 50 * time.Millisecond
	retryMax       = 500 * time.Millisecond
	retryPatience  = 30 * time.Second
	retryLimit     = int(retryPatience / retryMin) // never reached: patience ends first
	metadataMinAge = 250 * time.Millisecond        // how soon after one look at the leaders the next may follow
	metadataMaxAge = 30 * time.Second              // and how late: partitions that are added are found by it
	dialPatience   = 3 * time.Second
	answerPatience = 5 * time.Second // beyond what a request itself may take: a broker that hangs is given up
)

// retryBackoff is how long to wait after a request has failed so many times in a row: it doubles, less up to a fifth, so
// that not all clients ask at once.
func retryBackoff(fails int) time.Duration {
	d := retryMax
	if fails < 10 { // beyond, the shift would be of no use
		d = min(retryMin<<max(fails-1, 0), retryMax)
	}
	return d - rand.N(d/5) //nolint:gosec // it is no secret
}

// options are what every client of a cluster has in common.
func (c *Cluster) options(log *slog.Logger) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.SoftwareNameAndVersion(software, softwareVersion),
		kgo.WithLogger(logger{log}),
		kgo.MaxDecompressBatchBytes(maxBatchBytes),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(hooks{c.Events}),
		kgo.RetryBackoffFn(retryBackoff),
		kgo.RequestRetries(retryLimit),
		kgo.RetryTimeout(retryPatience),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.Dialer(c.dialer()),
		kgo.RequestTimeoutOverhead(answerPatience),
	}
	if c.ClientID != "" {
		opts = append(opts, kgo.ClientID(c.ClientID))
	}
	switch c.SASL.Mechanism {
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsSha512Mechanism()))
	}
	return opts
}

func (o Output) producerOptions() []kgo.Opt {
	codec := kgo.NoCompression()
	switch o.Compression {
	case "gzip":
		codec = kgo.GzipCompression()
	case "snappy":
		codec = kgo.SnappyCompression()
	case "lz4":
		codec = kgo.Lz4Compression()
	case "zstd":
		codec = kgo.ZstdCompression()
	}
	return []kgo.Opt{
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(o.Linger),
		kgo.MaxBufferedRecords(maxProducedRecords),
		kgo.UnknownTopicRetries(4),
	}
}

func (s Start) offset() kgo.Offset {
	if !s.At.IsZero() {
		return kgo.NewOffset().AfterMilli(s.At.UnixMilli())
	}
	return kgo.NewOffset().AtStart() // where a group begins at the end, settle knows it
}
