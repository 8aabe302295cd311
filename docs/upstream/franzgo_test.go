package upstream

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const patience = 30 * time.Second

// rig is a Kafka in this process with 40 records in topic in.
func rig(t *testing.T) (seed kgo.Opt, admin *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "in", "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	seed = kgo.SeedBrokers(c.ListenAddrs()...)
	if admin, err = kgo.NewClient(seed, kgo.DefaultProduceTopic("in")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	for i := range 40 {
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return seed, admin
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func poll(t *testing.T, poll func(context.Context, int) kgo.Fetches) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if rs := poll(ctx, 10).Records(); len(rs) > 0 {
			return rs
		}
	}
	t.Fatal("nothing was polled")
	return nil
}

// expel removes a member, as its session timeout does.
func expel(t *testing.T, admin *kgo.Client, member string) {
	t.Helper()
	q := kmsg.NewPtrLeaveGroupRequest()
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	q.Group, q.Members = "g", append(q.Members, m)
	if _, err := q.RequestWith(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
}

// commit commits an offset as a member.
func commit(t *testing.T, admin *kgo.Client, member string, generation int32, offset int64) {
	t.Helper()
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.MemberID, q.Generation = "g", member, generation
	topic, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	topic.Topic, p.Offset = "in", offset
	topic.Partitions = append(topic.Partitions, p)
	q.Topics = append(q.Topics, topic)
	v := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = kmsg.StringPtr("in")
	v.Topics = append(v.Topics, mt)
	meta, err := v.RequestWith(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	q.Topics[0].TopicID = meta.Topics[0].TopicID
	resp, err := q.RequestWith(t.Context(), admin)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(err, resp)
	}
}

// A member is expelled while its JoinGroup is on the way. Others have committed up to 30. It should be told of the loss and
// go on at 30; it is told nothing, rejoins as somebody new, and goes on at 10.
func TestOwnershipOutlivesMembership(t *testing.T) {
	seed, admin := rig(t)
	var lost atomic.Int32
	cl, err := kgo.NewClient(seed, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { lost.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	rs := poll(t, cl.PollRecords)
	if err := cl.CommitRecords(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
	member, generation := cl.GroupMetadata()
	commit(t, admin, member, generation, 30) // stands for the commits of whoever owned the partition meanwhile
	expel(t, admin, member)
	cl.ForceRebalance()
	await(t, "a new member id", func() bool { id, _ := cl.GroupMetadata(); return id != member && id != "" })
	if next := poll(t, cl.PollRecords)[0].Offset; next != 10 || lost.Load() != 0 {
		t.Errorf("the defect is gone: it goes on at %d, and was told of %d losses; see franz-go.md", next, lost.Load())
	}
}

// gate is a hook that holds the group's goroutine between the loss and the moment when buffers are dropped. Without it the
// window is a few instructions long.
type gate struct{ in, out chan struct{} }

func (g *gate) OnGroupManageError(error) { close(g.in); <-g.out }

// A member is expelled in a transaction. Its End aborts, and forgets on its way out that the membership was lost. A poll
// returns what was buffered, a transaction begins on it, the buffers are dropped, and End commits the outputs without offsets.
func TestATransactionCommitsWithoutOffsets(t *testing.T) {
	seed, admin := rig(t)
	g := &gate{make(chan struct{}), make(chan struct{})}
	s, err := kgo.NewGroupTransactSession(seed, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.TransactionalID("t"), kgo.HeartbeatInterval(100*time.Millisecond), kgo.WithHooks(g))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	end := func(rs []*kgo.Record) (committed bool, offsets int) {
		for _, r := range rs {
			s.Produce(t.Context(), &kgo.Record{Topic: "out", Value: r.Value}, nil)
		}
		committed, err := s.End(kgo.PreTxnCommitFnContext(t.Context(), func(q *kmsg.TxnOffsetCommitRequest) error {
			offsets += len(q.Topics)
			return nil
		}), kgo.TryCommit)
		if err != nil {
			t.Fatal(err)
		}
		return committed, offsets
	}
	begin := func() {
		t.Helper()
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
	}
	rs := poll(t, s.PollRecords)
	begin()
	member, _ := s.Client().GroupMetadata()
	expel(t, admin, member)
	<-g.in
	if committed, _ := end(rs); committed {
		t.Fatal("a transaction of an expelled member is committed")
	}
	rs = poll(t, s.PollRecords)
	begin()
	close(g.out)
	await(t, "a new member id", func() bool { id, _ := s.Client().GroupMetadata(); return id != member && id != "" })
	if committed, offsets := end(rs); !committed || offsets != 0 {
		t.Errorf("the defect is gone: committed %v with the offsets of %d topics; see franz-go.md", committed, offsets)
	}
}
