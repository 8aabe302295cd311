package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// transactions make the outputs and the offsets of a checkpoint one: begun before the first output, ended by the commit.
// A checkpoint without outputs has none: its offsets are one request, hence atomic by themselves.
//
// The offsets are sent by a request of our own, not by franz-go's GroupTransactSession: that one commits whatever its
// client has polled, forgets that a membership was lost when an abort is under way, and cannot end a transaction while
// partitions are being revoked. docs/decisions/0004-transactions.md has the reasons in full.
type transactions struct {
	cl       *kgo.Client
	id       string
	group    string
	ready    chan struct{} // closed once the id is ours: the brokers have ended what its last holder left open
	err      error         // why the id is not ours; read after ready
	level    Level         // likewise
	stop     context.CancelFunc
	open     bool
	lost     bool        // an End is under way that nobody waits for any more
	ended    time.Time   // the last one
	offsets  *kgo.Client // commits offsets below LevelTwo; nil: not needed yet
	toLegacy []kgo.Opt
	log      *slog.Logger
	nudges   int // so far
}

const (
	grantPatience = 30 * time.Second // how long the brokers may take to end what the last holder of an id left open
	abortPatience = time.Second      // how long closing waits for an abort; the next holder of the id makes up for it
	// endSettles is how long after the end of a transaction its markers are being written. A broker that gets the first
	// write of the next one meanwhile lets it wait for its own pace of 20 ms, so we wait a little instead.
	endSettles = 5 * time.Millisecond
)

// transactionTimeout is below the session timeout, so that what a dead member left open has ended when its partitions
// move on; whole seconds where there are two, because brokers and people count in them.
func transactionTimeout(session time.Duration) time.Duration {
	t := min(session*5/6, maxTransaction)
	if t >= 2*time.Second {
		t = t.Truncate(time.Second)
	}
	return t
}

// maxTransaction is what brokers allow unless they are told otherwise (transaction.max.timeout.ms).
const maxTransaction = 15 * time.Minute

// transactionalOptions are those of a client that writes in transactions.
func (g *Group) transactionalOptions() []kgo.Opt {
	if g.TransactionalID == "" {
		return nil
	}
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), offsetsByName)
	return []kgo.Opt{kgo.TransactionalID(g.TransactionalID), kgo.TransactionTimeout(g.TransactionTimeout()), kgo.MaxVersions(v)}
}

const (
	offsetsByName   = 5 // the newest TxnOffsetCommit that names topics
	offsetsExplicit = 4 // the newest that wants the group added to the transaction first
)

// newTransactions asks the brokers for the transactional id, in the background: that ends what its last holder, perhaps
// killed, has left open, which the next owners of its partitions wait for.
func newTransactions(cl *kgo.Client, cluster Cluster, group *Group, log *slog.Logger) *transactions {
	ctx, cancel := context.WithTimeout(context.Background(), grantPatience)
	legacy := kversion.Stable()
	legacy.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), offsetsExplicit)
	t := &transactions{cl: cl, id: group.TransactionalID, group: group.Name, ready: make(chan struct{}), stop: cancel, log: log,
		toLegacy: append(cluster.lasting(log), kgo.MaxVersions(legacy))}
	go func() {
		defer close(t.ready)
		if err := t.nudged(func() error { _, _, err := cl.ProducerID(ctx); return err }); err != nil {
			t.err = fmt.Errorf("the brokers do not grant transactional id %s within %v: %w", t.id, grantPatience, err)
			return
		}
		if t.level, t.err = level(ctx, cl); t.err != nil {
			t.err = fmt.Errorf("asking the brokers for their level of transactions: %w", t.err)
		}
	}()
	return t
}

// await waits, until ctx ends, for the id to be ours and for the last transaction to have settled.
func (t *transactions) await(ctx context.Context) (bool, error) {
	select {
	case <-t.ready:
	case <-ctx.Done():
		return false, nil
	}
	if t.err != nil {
		return false, t.err
	}
	if wait := endSettles - time.Since(t.ended); wait > 0 {
		return pass(ctx, wait), nil
	}
	return true, nil
}

// begin begins a transaction if none is open. It does not wait: the id is ours before anything is polled.
func (t *transactions) begin() error {
	if t.open {
		return nil
	}
	if err := t.cl.BeginTransaction(); err != nil {
		return fmt.Errorf("beginning a transaction as %s: %w", t.id, err)
	}
	t.open = true
	return nil
}

// commit adds the offsets to the open transaction and ends it. verify is asked each time before the offsets are sent. Where
// it returns an error the outcome may be unknown; only the offsets at the broker tell.
func (t *transactions) commit(ctx context.Context, member string, generation int32, commits map[stream.Partition]stream.Commit, verify func() error) error {
	for tries := 1; ; tries++ {
		if err := verify(); err != nil {
			return err
		}
		err := t.addOffsets(ctx, member, generation, commits)
		if err == nil {
			return t.end(ctx)
		}
		passing := kerr.IsRetriable(err) || errors.Is(err, kerr.ConcurrentTransactions) // a coordinator that moves: no reason to leave the group
		if !passing || !pass(ctx, retryBackoff(tries)) {
			return t.explain(err)
		}
	}
}

// pass lets d pass, and says whether ctx outlived it.
func pass(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// addOffsets makes the offsets part of the transaction. Sent again they are the same: member, generation and epoch go with them.
func (t *transactions) addOffsets(ctx context.Context, member string, generation int32, commits map[stream.Partition]stream.Commit) error {
	producer, epoch, err := t.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	via := t.cl
	if t.level != LevelTwo {
		if via, err = t.addGroup(ctx, producer, epoch); err != nil {
			return err
		}
	}
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch = t.id, t.group, producer, epoch
	q.MemberID, q.Generation = member, generation
	q.Topics = offsetTopics(commits)
	resp, err := q.RequestWith(ctx, via)
	if err != nil {
		return err
	}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", topic.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

func offsetTopics(commits map[stream.Partition]stream.Commit) []kmsg.TxnOffsetCommitRequestTopic {
	at := map[string]int{}
	var topics []kmsg.TxnOffsetCommitRequestTopic
	for p, c := range commits {
		i, ok := at[p.Topic]
		if !ok {
			i = len(topics)
			at[p.Topic] = i
			topics = append(topics, kmsg.NewTxnOffsetCommitRequestTopic())
			topics[i].Topic = p.Topic
		}
		o := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		o.Partition, o.Offset, o.Metadata = p.ID, c.Floor, kmsg.StringPtr(encodeMetadata(c))
		topics[i].Partitions = append(topics[i].Partitions, o)
	}
	return topics
}

// addGroup makes the group's offsets part of the transaction, which brokers below LevelTwo want to be told, and returns
// the client that may send them: it speaks no version that would claim the newer rules.
func (t *transactions) addGroup(ctx context.Context, producer int64, epoch int16) (*kgo.Client, error) {
	if t.offsets == nil {
		cl, err := kgo.NewClient(t.toLegacy...)
		if err != nil {
			return nil, err
		}
		t.offsets = cl
	}
	return t.offsets, addGroup(ctx, t.offsets, t.id, producer, epoch, t.group)
}

// addGroup makes the offsets of a group part of the transaction that a producer has open, or opens by it.
func addGroup(ctx context.Context, cl *kgo.Client, id string, producer int64, epoch int16, group string) error {
	q := kmsg.NewPtrAddOffsetsToTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = id, producer, epoch, group
	resp, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	return err
}

// end commits. The request is never cancelled: cancelled, it may still have committed. Past ctx nobody waits for it any
// more, the outcome is unknown, and the client is of no more use.
func (t *transactions) end(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- t.cl.EndTransaction(context.WithoutCancel(ctx), kgo.TryCommit) }()
	select {
	case err := <-done:
		if err != nil {
			return t.explain(err)
		}
		t.open, t.ended = false, time.Now()
		return nil
	case <-ctx.Done():
		t.lost = true
		return fmt.Errorf("the end of the transaction of %s is not confirmed, its outcome is unknown: %w", t.id, ctx.Err())
	}
}

// explain adds the remedy where the brokers refuse the transaction itself.
func (t *transactions) explain(err error) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return fmt.Errorf("transactional id %s was taken over, or its transaction timed out: if this goes on, either two processes have one instance name "+
			"(give each a name by STREAMPROC_INSTANCE), or a checkpoint takes longer than the transaction timeout (raise session_timeout, lower poll.records): %w", t.id, err)
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("transactional id %s may not be used by this user: grant WRITE and DESCRIBE on it: %w", t.id, err)
	}
	return err
}

// abort ends the open transaction without effect, for a bounded time, so that nobody waits for its timeout.
func (t *transactions) abort() {
	if !t.open || t.lost {
		return
	}
	t.open = false
	ctx, cancel := context.WithTimeout(context.Background(), abortPatience)
	defer cancel()
	if t.cl.AbortBufferedRecords(ctx) == nil {
		_ = t.cl.EndTransaction(ctx, kgo.TryAbort) // if it fails, the next holder of the id or the timeout ends it
	}
}

func (t *transactions) close() {
	t.stop()
	<-t.ready
	t.abort()
	if t.offsets != nil {
		t.offsets.Close()
	}
}
