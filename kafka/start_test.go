package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// latest makes the group begin at the end, behind 4 records.
func (r *rig) latest(t *testing.T) *rig {
	t.Helper()
	r.group.Start.Latest = true
	r.feed(t, 0, 4)
	return r
}

// put writes one record into a partition.
func (r *rig) put(t *testing.T, partition int32, value string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Partition: partition, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// committed is what the brokers hold for the group.
func (r *rig) committed(t *testing.T) map[int32]kadm.OffsetResponse {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rs, err := kadm.NewClient(cl).FetchOffsets(t.Context(), r.group.Name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		t.Fatal(err)
	}
	return rs["in"]
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !so(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waiting for %s", what)
		}
	}
}

func (r *rig) begun(t *testing.T) {
	t.Helper()
	until(t, "the group to begin", func() bool { return len(r.committed(t)) == 2 })
}

func values(rs []stream.Record) (vs []string) {
	for i := range rs {
		vs = append(vs, string(rs[i].Value))
	}
	slices.Sort(vs)
	return vs
}

// gather polls several members in turn until n records have come.
func gather(t *testing.T, n int, from ...*Client) (rs []stream.Record) {
	t.Helper()
	until(t, fmt.Sprintf("%d records", n), func() bool {
		for _, c := range from {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			var b stream.Batch
			err := c.Poll(ctx, &b)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, b.Records...)
		}
		return len(rs) >= n
	})
	return rs
}

func TestAnIdlePartitionIsReadFromWhereTheGroupBegan(t *testing.T) {
	for name, set := range map[string]func(*Group){
		"classic":      func(*Group) {},
		"consumer":     func(g *Group) { g.Consumer = true },
		"exactly once": func(g *Group) { g.TransactionalID = "p.i/0.0" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).latest(t)
			set(&r.group)
			c := r.dial(t)
			r.begun(t)
			r.put(t, 0, "a")
			rs, marks := poll(t, c, 1)
			if got := values(rs); got[0] != "a" {
				t.Errorf("read %q", got)
			}
			busy, nothing := stream.Partition{Topic: "in"}, stream.Commit{Floor: -1, Head: 2, Watermark: math.MinInt64}
			if a := c.Assignment(busy); a.Commit != nothing || a.Position != 2 {
				t.Errorf("began with %+v", a)
			}
			done := stream.Mark{Partition: busy, Commit: stream.Commit{Floor: marks[busy], Head: marks[busy], Nonce: "n", Watermark: 42}}
			if err := c.Commit(t.Context(), []stream.Mark{done}); err != nil {
				t.Fatal(err)
			}
			c.Close()
			r.put(t, 1, "b")
			again := r.dial(t)
			rs, _ = poll(t, again, 1)
			idle := stream.Partition{Topic: "in", ID: 1}
			a := again.Assignment(idle)
			if got := values(rs); got[0] != "b" || rs[0].Origin.Offset != 2 || a.Position != 2 {
				t.Errorf("read %q at %d, position %d", got, rs[0].Origin.Offset, a.Position)
			}
			if now, err := again.Committed(t.Context(), idle); a.Commit != nothing || now != nothing || err != nil {
				t.Errorf("the commits are %+v and %+v, %v, want none but the place", a.Commit, now, err)
			}
		})
	}
}

func TestWhatIsCommittedStaysWhenTheGroupBegins(t *testing.T) {
	r := newRig(t).latest(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var by kadm.Offsets
	by.AddOffset("in", 1, 1, -1)
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), r.group.Name, by); err != nil {
		t.Fatal(err)
	}
	c := r.dial(t)
	r.begun(t)
	if at := r.committed(t); at[0].At != 2 || at[1].At != 1 {
		t.Errorf("the group begins at %d and %d", at[0].At, at[1].At)
	}
	if rs, _ := poll(t, c, 1); rs[0].Origin.Offset != 1 || rs[0].Origin.Partition.ID != 1 {
		t.Errorf("read %v first", rs[0].Origin)
	}
}

func TestAnAddedPartitionIsReadFromItsBeginning(t *testing.T) {
	r := newRig(t).latest(t)
	c := r.dial(t)
	r.begun(t)
	adm := kadm.NewClient(c.cl)
	if rs, err := adm.CreatePartitions(t.Context(), 1, "in"); err != nil || rs.Error() != nil {
		t.Fatal(err, rs.Error())
	}
	r.put(t, 2, "early")
	c.cl.ForceMetadataRefresh()
	if rs, _ := poll(t, c, 1); string(rs[0].Value) != "early" || rs[0].Origin.Partition.ID != 2 {
		t.Errorf("read %q of partition %d", rs[0].Value, rs[0].Origin.Partition.ID)
	}
}

// commitsOf answers initial commits by what answer says: an error, nil for the brokers' own answer.
func (r *rig) commitsOf(answer func(*kmsg.OffsetCommitRequest) *kerr.Error) {
	r.ControlKey(int16(kmsg.OffsetCommit), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		q := kreq.(*kmsg.OffsetCommitRequest)
		code := answer(q)
		if code == nil {
			return nil, nil, false
		}
		resp := q.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range q.Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// two are members with a partition each, the owner of partition 0 first.
func (r *rig) two(t *testing.T) (first, other *Client) {
	t.Helper()
	a, b := r.dial(t), r.dial(t)
	owns := func(c *Client, id int32) bool {
		_, ok := c.member.stamp(stream.Partition{Topic: "in", ID: id})
		return ok
	}
	until(t, "each to have a partition", func() bool {
		for _, c := range []*Client{a, b} {
			select {
			case r := <-c.Revoking():
				r.Ended()
			default:
			}
		}
		return owns(a, 0) != owns(a, 1) && owns(b, 0) != owns(b, 1) && owns(a, 0) != owns(b, 0)
	})
	if owns(b, 0) {
		a, b = b, a
	}
	return a, b
}

func TestMembersBeginWhereTheOwnerOfTheFirstPartitionSays(t *testing.T) {
	r := newRig(t).latest(t)
	var both atomic.Bool
	var once sync.Once
	arrived, release := make(chan struct{}), make(chan struct{})
	var senders sync.Map
	r.commitsOf(func(q *kmsg.OffsetCommitRequest) *kerr.Error {
		if !both.Load() {
			return kerr.CoordinatorLoadInProgress
		}
		senders.Store(q.MemberID, true)
		r.SleepControl(func() {
			once.Do(func() { close(arrived) })
			<-release
		})
		return nil
	})
	a, b := r.two(t)
	both.Store(true)
	<-arrived // the ends are known, and nobody reads yet
	r.put(t, 0, "a")
	r.put(t, 1, "b")
	close(release)
	if got := values(gather(t, 2, a, b)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("read %q", got)
	}
	member, _ := b.cl.GroupMetadata()
	if _, ok := senders.Load(member); ok {
		t.Error("the member without the first partition has said where the group begins")
	}
}

func TestAMemberThatDiesBeforeItHasBegunIsSucceeded(t *testing.T) {
	r := newRig(t).latest(t)
	var dead atomic.Pointer[string]
	r.commitsOf(func(q *kmsg.OffsetCommitRequest) *kerr.Error {
		if id := dead.Load(); id == nil || *id == q.MemberID {
			return kerr.CoordinatorLoadInProgress
		}
		return nil
	})
	a, b := r.two(t)
	member, _ := a.cl.GroupMetadata()
	dead.Store(&member)
	a.Close()
	r.begun(t)
	r.put(t, 0, "a")
	r.put(t, 1, "b")
	if got := values(gather(t, 2, b)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("read %q", got)
	}
}

func TestTheBeginningOfAnEarlierGenerationIsRefused(t *testing.T) {
	r := newRig(t).latest(t)
	sent := make(chan kmsg.OffsetCommitRequest, 100)
	r.commitsOf(func(q *kmsg.OffsetCommitRequest) *kerr.Error {
		sent <- *q
		if len(sent) < 3 {
			q.Generation--
		}
		return nil
	})
	c := r.dial(t)
	r.begun(t)
	member, generation := c.cl.GroupMetadata()
	if len(sent) != 3 {
		t.Errorf("%d commits were sent, want two that are refused and one", len(sent))
	}
	for range len(sent) {
		q := <-sent
		if q.MemberID != member || q.Generation != generation || len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 2 {
			t.Errorf("sent %+v as member %q of generation %d", q, member, generation)
		}
	}
}

func TestABeginningThatMayArriveYetEndsTheMembership(t *testing.T) {
	r := newRig(t).latest(t)
	var sent atomic.Int32
	r.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		sent.Add(1)
		return nil, errors.New("the connection is closed"), true
	})
	c := r.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b stream.Batch
	err := c.Poll(ctx, &b)
	for err == nil && ctx.Err() == nil {
		err = c.Poll(ctx, &b)
	}
	if !errors.Is(err, errLate) || sent.Load() != 1 || len(r.committed(t)) != 0 {
		t.Errorf("sent %d times, committed %v: %v", sent.Load(), r.committed(t), err)
	}
}

func TestTheFloorIsWhereReadingBegins(t *testing.T) {
	begun := begunMetadata
	p := stream.Partition{Topic: "in"}
	for _, is := range []struct {
		commit stream.Commit
		want   int64
	}{{decodeMetadata(-1, nil), -1}, {decodeMetadata(7, &begun), 7}, {stream.Commit{Floor: 0, Head: 3}, 0}, {stream.Commit{Floor: 5, Head: 9}, 5}} {
		c := &Client{fetched: map[stream.Partition]stream.Commit{p: is.commit}}
		if got := c.floor(p); got != is.want {
			t.Errorf("the floor of %+v is %d, want %d", is.commit, got, is.want)
		}
	}
}
