package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client is one member of a consumer group and the sinks of its worker. It plays pipeline.Client; its methods are for the
// worker's goroutine alone, its callbacks come from franz-go's.
type Client struct {
	cl        *kgo.Client
	cluster   Cluster
	group     Group
	log       *slog.Logger
	member    *membership
	out       *producer
	txn       *transactions // nil: plain commits
	pulse     pulse
	topicIDs  map[string][16]byte
	parts     map[stream.Partition]*position // of the current assignment
	polled    map[stream.Partition]stamp     // since the last commit
	closed    chan struct{}                  // by Close
	succeeded chan struct{}                  // once nothing of an earlier process is looked for any more
	closeOnce sync.Once
	cut       context.CancelFunc                 // ends whatever franz-go is at
	interrupt atomic.Pointer[context.CancelFunc] // ends the poll that is under way
	caller    *kgo.Client                        // cl, for what franz-go calls: it may do so before Dial has it
	mu        sync.Mutex
	fetched   map[stream.Partition]stream.Commit // what the group held when the partition was assigned
}

// position is how far a partition was polled in this assignment.
type position struct {
	stamp stamp
	first int64 // the committed offset or, if there is none, the first that was polled
	next  int64
	end   int64 // end of the partition, at the last fetch that brought records
	deaf  bool  // the client cannot be told to read on here: the next membership begins behind what is committed
}

const (
	revokeWait = 3 * time.Second       // how long a planned revocation waits for the worker to end its checkpoint
	hearEvery  = 20 * time.Millisecond // how often a commit looks whether the group has answered
	closeWait  = 3 * time.Second       // how long Close waits before it leaves the client to itself: a drain takes this beside its checkpoint
)

// Dial makes the client of one membership; outputs are numbered from 1 as stream.Sink. limitBytes bounds what may wait to
// be written, over all outputs. It does not wait for the brokers.
func Dial(cluster Cluster, group Group, outputs []Output, limitBytes int64, log *slog.Logger) (*Client, error) {
	cluster.ClientID = group.memberName(cluster.ClientID)
	c := &Client{cluster: cluster, group: group, log: log, member: newMembership(), closed: make(chan struct{}), succeeded: make(chan struct{}), topicIDs: map[string][16]byte{},
		parts: map[stream.Partition]*position{}, polled: map[stream.Partition]stamp{}, fetched: map[stream.Partition]stream.Commit{}}
	c.pulse.beat()
	ctx, cut := context.WithCancel(context.Background())
	c.cut = cut
	opts := append(cluster.lasting(log), kgo.WithContext(ctx),
		kgo.ConsumerGroup(group.Name), kgo.ConsumeTopics(group.Topics...), kgo.ConsumeStartOffset(group.Start.offset()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // a committed offset that retention has passed halts: going on would lose in silence

		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(fetchMaxWait), kgo.WithHooks(&c.pulse),
		kgo.OnOffsetsFetched(c.onFetched), kgo.AdjustFetchOffsetsFn(c.settle), kgo.OnPartitionsAssigned(c.onAssigned), kgo.OnPartitionsRevoked(c.onRevoked), kgo.OnPartitionsLost(c.onLost))
	if group.PollBytes > 0 {
		opts = append(opts, kgo.FetchMaxBytes(int32(group.PollBytes)))
	}
	opts = append(append(opts, group.balancing()...), group.transactionalOptions()...)
	limits := newBatchLimits(cluster, log)
	opts = append(opts, limits.option())
	own := -1
	for i, o := range outputs {
		if o.Cluster == nil {
			own = i
			opts = append(opts, o.producerOptions()...)
			break
		}
	}
	if own < 0 {
		opts = append(opts, Output{}.producerOptions()...)
	}
	var err error
	if c.cl, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("making a Kafka client for group %s: %w", group.Name, err)
	}
	if c.out, err = newProducer(c.cl, cluster, limits, own, outputs, limitBytes, log); err != nil {
		c.cl.Close()
		return nil, err
	}
	if group.TransactionalID != "" {
		if len(c.out.extra) > 0 {
			c.cl.Close()
			c.out.close()
			return nil, fmt.Errorf("%w: outputs of one transaction are written by one client: give them one cluster, compression and linger", stream.ErrHalt)
		}
		c.out.opens = true
		c.txn = newTransactions(c.cl, cluster, &c.group, log)
	}
	go c.succeed(ctx)
	return c, nil
}

func (c *Client) onFetched(_ context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	c.caller = cl
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				c.fetched[stream.Partition{Topic: t.Topic, ID: p.Partition}] = decodeMetadata(p.Offset, p.Metadata)
			}
		}
	}
	return nil
}

func (c *Client) onAssigned(_ context.Context, cl *kgo.Client, topics map[string][]int32) {
	c.member.assigned(cl, topics)
}

// onRevoked lets the worker end its checkpoint before the partitions are given up, so that a planned rebalance repeats
// nothing. franz-go's group goroutine waits here, for a bounded time: a worker that is busy, or gone, may not hear it.
func (c *Client) onRevoked(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	defer c.member.drop(topics, nil)
	if len(topics) == 0 {
		return
	}
	ended := make(chan struct{})
	var once sync.Once
	r := stream.Revocation{Ended: func() { once.Do(func() { close(ended) }) }}
	for topic, ps := range topics {
		for _, p := range ps {
			r.Partitions = append(r.Partitions, stream.Partition{Topic: topic, ID: p})
		}
	}
	late := time.NewTimer(revokeWait)
	defer late.Stop()
	if c.offer(r, late.C) {
		select {
		case <-ended:
			return
		case <-c.closed:
			return
		case <-late.C:
		}
	}
	c.log.Warn("the checkpoint did not end in time for a rebalance; its work will be repeated", "wait", revokeWait)
}

// offer tells the worker of a revocation, unless an earlier one is still waiting for it when it is too late.
func (c *Client) offer(r stream.Revocation, late <-chan time.Time) bool {
	select {
	case <-c.closed:
		r.Ended()
		return true
	case c.member.revoking <- r:
	case <-late:
		return false
	}
	if stop := c.interrupt.Load(); stop != nil {
		(*stop)()
	}
	return true
}

func (c *Client) onLost(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	c.member.drop(topics, errors.New("the membership was lost"))
	c.log.Debug("the membership is lost", "partitions", topics)
	if stop := c.interrupt.Load(); stop != nil {
		(*stop)()
	}
}

// Revoking implements pipeline.Client.
func (c *Client) Revoking() <-chan stream.Revocation { return c.member.revoking }

// Assignment implements pipeline.Client.
func (c *Client) Assignment(p stream.Partition) stream.Assignment {
	c.mu.Lock()
	commit, ok := c.fetched[p]
	c.mu.Unlock()
	if !ok {
		commit = stream.Commit{Floor: -1, Watermark: math.MinInt64}
	}
	return stream.Assignment{Partition: p, TopicID: c.topicIDs[p.Topic], Commit: commit, Position: c.parts[p].first}
}

// CaughtUp implements pipeline.Client. A client that the brokers have not answered lately is never caught up.
func (c *Client) CaughtUp(p stream.Partition) bool {
	at, ok := c.parts[p]
	return ok && at.next >= at.end && c.pulse.sinceFetch() < 4*fetchMaxWait
}

// End implements pipeline.Client.
func (c *Client) End(p stream.Partition) int64 {
	if at := c.parts[p]; at != nil {
		return at.end
	}
	return 0
}

// Commit implements pipeline.Client: behind the guard, in the open transaction if there is one, else by a plain request.
func (c *Client) Commit(ctx context.Context, marks []stream.Mark) error {
	if err := c.heard(ctx); err != nil {
		return err
	}
	commits := map[stream.Partition]stream.Commit{}
	for _, m := range marks {
		commits[m.Partition] = m.Commit
		if _, ok := c.polled[m.Partition]; !ok { // moved by time alone: stamped as it is owned now
			s, ok := c.member.stamp(m.Partition)
			if at := c.parts[m.Partition]; !ok || at == nil || at.stamp != s {
				return fmt.Errorf("%w: %v is no longer owned", errRefused, m.Partition)
			}
			c.polled[m.Partition] = s
		}
	}
	commit := c.commitPlain
	if c.txn != nil && c.txn.open {
		commit = c.commitTransaction
	}
	if err := commit(ctx, commits); err != nil {
		return fmt.Errorf("committing offsets of group %s: %w", c.group.Name, err)
	}
	clear(c.polled)
	for p := range commits {
		if at := c.parts[p]; at != nil && at.deaf {
			c.member.drop(nil, fmt.Errorf("%v began with a batch that is too large, and goes on behind it in another membership", p))
		}
	}
	return nil
}

// heard returns once the group has answered within the last half of a session. Its coordinator may have died: the next one
// knows the members, so that what is waited for here need not be done again. While it waits nothing is committed.
func (c *Client) heard(ctx context.Context) error {
	var tick <-chan time.Time
	for {
		silence := c.pulse.silence()
		if silence <= c.group.silence() || !guarded {
			return nil
		}
		if err := c.member.alive(); err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		if tick == nil {
			t := time.NewTicker(hearEvery)
			defer t.Stop()
			tick = t.C
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return fmt.Errorf("%w: the last answer of the group came %v ago", errRefused, silence.Round(time.Millisecond))
		}
	}
}

func (c *Client) commitTransaction(ctx context.Context, commits map[stream.Partition]stream.Commit) error {
	if c.out.acknowledged() == 0 {
		return errors.New("of all that the transaction wrote nothing was taken")
	}
	// First captured, then verified, then sent as captured: the brokers refuse it if the membership has changed since.
	member, generation := c.cl.GroupMetadata()
	verify := func() error { return c.member.verify(member, c.polled) }
	if err := c.txn.commit(ctx, member, generation, commits, verify); err != nil {
		return err
	}
	c.out.settled()
	return nil
}

// errLate: the membership goes with such a commit.
var errLate = errors.New("no answer to the commit came in time, and it may arrive yet")

// commitPlain sends a commit again only where it is sure that it has not arrived: a group takes whatever a member of its
// generation sends, in the order of arrival, and one that the network holds up would put the offsets back, behind the next
// one. Whoever gives up its membership instead has another generation, to which the late one is foreign.
func (c *Client) commitPlain(ctx context.Context, commits map[stream.Partition]stream.Commit) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var late atomic.Bool
	doubt := func() {
		late.Store(true)
		giveUp()
	}
	c.pulse.late.Store(&doubt)
	defer c.pulse.late.Store(nil)
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for p, commit := range commits {
		t := offsets[p.Topic]
		if t == nil {
			t = map[int32]kgo.EpochOffset{}
			offsets[p.Topic] = t
		}
		t[p.ID] = kgo.EpochOffset{Epoch: -1, Offset: commit.Floor}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(q *kmsg.OffsetCommitRequest) error {
		if err := c.member.verify(q.MemberID, c.polled); err != nil {
			return err
		}
		return fillCommit(q, commits)
	})
	var result error
	c.cl.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		result = commitError(resp, err)
	})
	if result != nil && late.Load() {
		return errLate
	}
	return result
}

// fillCommit puts the metadata into a request, after it has made sure that it holds exactly what is to be committed.
func fillCommit(q *kmsg.OffsetCommitRequest, commits map[stream.Partition]stream.Commit) error {
	n := 0
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			p := &q.Topics[i].Partitions[j]
			commit, ok := commits[stream.Partition{Topic: q.Topics[i].Topic, ID: p.Partition}]
			if !ok || commit.Floor != p.Offset {
				return fmt.Errorf("%w: the client would commit %s/%d at %d", errRefused, q.Topics[i].Topic, p.Partition, p.Offset)
			}
			p.Metadata = kmsg.StringPtr(encodeMetadata(commit))
			n++
		}
	}
	if n != len(commits) {
		return fmt.Errorf("%w: the client would commit %d of %d partitions", errRefused, n, len(commits))
	}
	return nil
}

func commitError(resp *kmsg.OffsetCommitResponse, err error) error {
	if err != nil || resp == nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// Write implements pipeline.Client.
func (c *Client) Write(rs []stream.Record) {
	if c.txn != nil && len(rs) > 0 {
		if err := c.txn.begin(); err != nil {
			c.out.fail(err)
			return
		}
	}
	c.out.write(rs)
}

// Full implements pipeline.Client.
func (c *Client) Full() bool {
	c.out.release()
	return c.out.full()
}

// Room implements pipeline.Client.
func (c *Client) Room() <-chan struct{} { return c.out.room }

// Flush implements pipeline.Client.
func (c *Client) Flush(ctx context.Context) ([]stream.Record, error) {
	if c.txn == nil || !c.txn.open {
		return c.out.flush(ctx)
	}
	var refused []stream.Record
	err := c.txn.nudged(func() (err error) { refused, err = c.out.flush(ctx); return err })
	if err != nil {
		err = c.txn.explain(err)
	}
	return refused, err
}

// Discard implements pipeline.Client.
func (c *Client) Discard() {
	if c.txn != nil {
		c.txn.abort()
	}
}
