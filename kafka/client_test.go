package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Kafka in this process with a topic in of two partitions and a topic out of one.
type rig struct {
	*kfake.Cluster
	cluster Cluster
	group   Group
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "in"), kfake.SeedTopics(1, "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &rig{c, Cluster{Brokers: c.ListenAddrs()}, Group{Name: "g", Topics: []string{"in"}, SessionTimeout: 6 * time.Second, PollRecords: 100}}
}

func (r *rig) dial(t *testing.T) *Client {
	t.Helper()
	c, err := Dial(r.cluster, r.group, []Output{{Topic: "out"}}, 1<<20, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (r *rig) feed(t *testing.T, from, to int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := from; i < to; i++ {
		rec := &kgo.Record{Topic: "in", Partition: int32(i % 2), Value: fmt.Append(nil, i),
			Headers: []kgo.RecordHeader{{Key: "sp-origin", Value: []byte("forged")}, {Key: "mine", Value: []byte("kept")}}}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// poll polls until n records have come.
func poll(t *testing.T, c *Client, n int) (rs []stream.Record, marks map[stream.Partition]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	marks = map[stream.Partition]int64{}
	for len(rs) < n {
		var b stream.Batch
		if err := c.Poll(ctx, &b); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Fatalf("got %d of %d records", len(rs), n)
		}
		rs = append(rs, b.Records...)
		for _, s := range b.Spans {
			marks[s.Partition] = s.To
		}
	}
	return rs, marks
}

func commits(marks map[stream.Partition]int64, nonce string) (ms []stream.Mark) {
	for p, next := range marks {
		ms = append(ms, stream.Mark{Partition: p, Commit: stream.Commit{Floor: next - 1, Head: next, Nonce: nonce, Watermark: 42, Note: "17/2/ff", Skips: "1-2"}})
	}
	return ms
}

func TestCommitCarriesFloorHeadNonceAndWatermark(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 10)
	c := r.dial(t)
	_, marks := poll(t, c, 10)
	if err := c.Commit(t.Context(), commits(marks, "n1")); err != nil {
		t.Fatal(err)
	}
	for p := range marks {
		got, err := c.Committed(t.Context(), p)
		if want := (stream.Commit{Floor: 4, Head: 5, Nonce: "n1", Watermark: 42, Note: "17/2/ff", Skips: "1-2"}); err != nil || got != want {
			t.Errorf("%v: committed %+v, %v; want %+v", p, got, err, want)
		}
	}
	c.Close()
	again := r.dial(t)
	rs, _ := poll(t, again, 2) // from the floor
	for i := range rs {
		a := again.Assignment(rs[i].Origin.Partition)
		if a.Position != 4 || a.Commit.Head != 5 || a.Commit.Nonce != "n1" || a.TopicID == [16]byte{} {
			t.Errorf("assignment %+v", a)
		}
	}
}

func TestForgedHeadersAreTakenOff(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 1)
	rs, _ := poll(t, r.dial(t), 1)
	if _, ok := rs[0].Header("sp-origin"); ok {
		t.Error("a header of ours came through from outside")
	}
	if v, _ := rs[0].Header("mine"); string(v) != "kept" {
		t.Errorf("header mine is %q", v)
	}
}

// A membership that ends while records wait for their commit: the interim owner commits, the frozen member must not.
func TestGuardRefusesACommitFromAnEarlierMembership(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 4)
	c := r.dial(t)
	_, marks := poll(t, c, 4)
	c.member.assigned(c.cl, map[string][]int32{"in": {0, 1}}) // assigned anew, as after a lost membership
	if err := c.Commit(t.Context(), commits(marks, "n")); !errors.Is(err, errRefused) {
		t.Errorf("got %v, want a refusal", err)
	}
	if got, err := c.Committed(t.Context(), stream.Partition{Topic: "in"}); err != nil || got.Floor != -1 {
		t.Errorf("committed %+v, %v; want nothing", got, err)
	}
}

func TestGuardRefusesAfterSilence(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 2)
	c := r.dial(t)
	_, marks := poll(t, c, 2)
	held, release := r.hold(kmsg.Heartbeat)
	defer release()
	<-held
	c.pulse.group.Add(-int64(r.group.SessionTimeout)) // as if stopped for a session
	ctx, cancel := context.WithTimeout(t.Context(), 10*hearEvery)
	defer cancel()
	if err := c.Commit(ctx, commits(marks, "n")); !errors.Is(err, errRefused) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestACommitWaitsUntilTheGroupAnswersAgain(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 2)
	c := r.dial(t)
	_, marks := poll(t, c, 2)
	held, release := r.hold(kmsg.Heartbeat)
	<-held
	c.pulse.group.Add(-int64(r.group.SessionTimeout)) // as if its coordinator had died
	member, _ := c.cl.GroupMetadata()
	done := make(chan error, 1)
	go func() { done <- c.Commit(t.Context(), commits(marks, "n")) }()
	select {
	case err := <-done:
		t.Fatalf("committed without an answer of the group: %v", err)
	case <-time.After(10 * hearEvery):
	}
	release()
	if err := <-done; err != nil {
		t.Errorf("got %v, want a commit", err)
	}
	if now, _ := c.cl.GroupMetadata(); now != member {
		t.Errorf("the membership is another: %s, was %s", now, member)
	}
}

// hold keeps requests of a kind unanswered until the function that it returns is called, and says when one is held.
func (r *rig) hold(key kmsg.Key) (held <-chan struct{}, release func()) {
	first, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		r.SleepControl(func() {
			once.Do(func() { close(first) })
			<-over
		})
		return nil, nil, false
	})
	return first, func() { close(over) }
}

func TestGuardRefusesARevokedPartition(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 2)
	c := r.dial(t)
	_, marks := poll(t, c, 2)
	c.member.drop(map[string][]int32{"in": {1}}, nil)
	if err := c.Commit(t.Context(), commits(marks, "n")); !errors.Is(err, errRefused) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestReplayReadsARangeAgain(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 20)
	c := r.dial(t)
	poll(t, c, 20)
	var got []int64
	start, err := c.Replay(t.Context(), stream.Partition{Topic: "in"}, 3, 8, func(b *stream.Batch) error {
		for i := range b.Records {
			got = append(got, b.Records[i].Origin.Offset)
		}
		return nil
	})
	if err != nil || start != 3 || fmt.Sprint(got) != "[3 4 5 6 7]" {
		t.Errorf("start %d, offsets %v, %v", start, got, err)
	}
}

func TestOutputsAreFlushedAndARecordTooLargeIsReturned(t *testing.T) {
	r := newRig(t)
	c := r.dial(t)
	r.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, false })
	big := stream.Record{Value: make([]byte, 2<<20), Sink: 1, Hops: 9, Origin: stream.Coordinate{Offset: 7}}
	c.Write([]stream.Record{{Value: []byte("a"), Sink: 1}, big, {Value: []byte("b"), Sink: 1}})
	refused, err := c.Flush(t.Context())
	if err != nil || len(refused) != 1 || refused[0].Origin.Offset != 7 || refused[0].Hops != 9 || refused[0].Cause.Reason != stream.ReasonProduce {
		t.Fatalf("refused %+v, %v", refused, err)
	}
}

func TestOutputsKeepTheTimestampOfTheirRecord(t *testing.T) {
	r := newRig(t)
	c := r.dial(t)
	begin := time.Now().Truncate(time.Millisecond)
	far := begin.Add(100 * 24 * time.Hour) // no broker takes it, nor what is in one batch with it
	c.Write([]stream.Record{{Sink: 1, Timestamp: 1_517_529_600_000}, {Sink: 1, Timestamp: far.UnixMilli()}})
	if refused, err := c.Flush(t.Context()); err != nil || len(refused) != 0 {
		t.Fatalf("refused %d, %v", len(refused), err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.ConsumeTopics("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var got []time.Time
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(got) < 2 {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, r.Timestamp) })
	}
	if got[0].UnixMilli() != 1_517_529_600_000 {
		t.Errorf("the output has the timestamp %v, want its record's", got[0])
	}
	if got[1].Before(begin) || got[1].After(time.Now()) {
		t.Errorf("a timestamp of %v became %v, want the time of writing", far, got[1])
	}
}

func TestATimestampThatNoBrokerWouldTakeIsThatOfTheWriting(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for ms, want := range map[int64]int64{0: 0, 1: 1, 1_000: 1_000, now.UnixMilli(): now.UnixMilli(), now.Add(aheadLimit).UnixMilli(): now.Add(aheadLimit).UnixMilli(),
		-1: now.UnixMilli(), math.MinInt64: now.UnixMilli(), now.Add(aheadLimit).UnixMilli() + 1: now.UnixMilli(), 253_402_300_799_999: now.UnixMilli(), math.MaxInt64: now.UnixMilli()} {
		if got := writeTime(ms, now).UnixMilli(); got != want {
			t.Errorf("the timestamp %d is written as %d, want %d", ms, got, want)
		}
	}
	r := newRig(t)
	c := r.dial(t)
	c.Write([]stream.Record{{Sink: 1, Value: []byte("a"), Timestamp: 0}, {Sink: 1, Value: []byte("b"), Timestamp: -1}, {Sink: 1, Value: []byte("c"), Timestamp: math.MaxInt64}})
	if refused, err := c.Flush(t.Context()); err != nil || len(refused) != 0 {
		t.Errorf("refused %+v, %v", refused, err)
	}
	if got := r.visible(t); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("written was %q", got)
	}
}

func TestACommittedOffsetThatRetentionHasPassedHalts(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 20)
	c := r.dial(t)
	_, marks := poll(t, c, 20)
	for p := range marks {
		marks[p] = 3
	}
	if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var gone kadm.Offsets
	gone.AddOffset("in", 0, 8, -1)
	gone.AddOffset("in", 1, 8, -1)
	if rs, err := kadm.NewClient(cl).DeleteRecords(t.Context(), gone); err != nil || rs.Error() != nil {
		t.Fatal(err, rs.Error())
	}
	again := r.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for err = error(nil); err == nil && ctx.Err() == nil; {
		var b stream.Batch
		if err = again.Poll(ctx, &b); len(b.Records) > 0 {
			t.Fatalf("went on at offset %d", b.Records[0].Origin.Offset)
		}
	}
	if !errors.Is(err, stream.ErrHalt) {
		t.Errorf("got %v, want a halt", err)
	}
}

func TestCheckNamesTheTroubleAndTheRemedy(t *testing.T) {
	r := newRig(t)
	group := r.group
	group.Topics = []string{"absent"}
	log := slog.New(slog.DiscardHandler)
	found := Check(t.Context(), r.cluster, group, []Output{{Topic: "out"}}, log).Errors
	if len(found) != 1 || !strings.Contains(found[0].Error(), "topic absent does not exist: create it") {
		t.Errorf("found %v", found)
	}
	if found := Check(t.Context(), r.cluster, r.group, []Output{{Topic: "out"}}, log).Errors; len(found) != 0 {
		t.Errorf("found %v where nothing is wrong", found)
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add(int64(3), "v1|n|7|12")
	f.Add(int64(-1), "")
	f.Fuzz(func(t *testing.T, offset int64, s string) {
		c := decodeMetadata(offset, &s)
		if c.Floor < -1 || c.Head < c.Floor {
			t.Errorf("%q at %d gives %+v", s, offset, c)
		}
		if c.Nonce != "" && !strings.Contains(s, c.Nonce) {
			t.Errorf("nonce %q is not in %q", c.Nonce, s)
		}
	})
}

func TestRevocationsThatNobodyHearsEnd(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		c := &Client{member: newMembership(), closed: make(chan struct{}), log: slog.New(slog.DiscardHandler)}
		for range 3 {
			c.onRevoked(context.Background(), nil, map[string][]int32{"in": {0}})
		}
		close(c.closed)
		c.onRevoked(context.Background(), nil, map[string][]int32{"in": {0}})
	})
}

// A member that joins while another does not answer waits in its JoinGroup; closed there, it leaves nothing behind.
func TestAMemberThatIsClosedWhileItJoinsLeavesTheGroup(t *testing.T) {
	r := newRig(t)
	r.feed(t, 0, 2)
	first := r.dial(t)
	poll(t, first, 2)
	_, release := r.hold(kmsg.Heartbeat) // the first does not hear that it has to join anew
	second := r.dial(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	members := func() int {
		groups, err := kadm.NewClient(cl).DescribeGroups(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		return len(groups["g"].Members)
	}
	for end := time.Now().Add(time.Minute); members() < 2; {
		if time.Now().After(end) {
			t.Fatal("the second member does not join")
		}
	}
	second.Close()
	if n := members(); n != 1 {
		t.Errorf("the group has %d members, want the first alone", n)
	}
	release()
	first.Close() // the JoinGroup is answered at the latest now
	<-second.cl.Context().Done()
}
