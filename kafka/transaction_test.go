package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func (r *rig) transactional(t *testing.T) *rig {
	t.Helper()
	r.group.TransactionalID = "p.i/0.0"
	return r
}

// visible reads what a read_committed consumer of topic out sees, up to a marker written here and now.
func (r *rig) visible(t *testing.T) (values []string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.ConsumeTopics("out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const end = "the end"
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "out", Value: []byte(end)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		for _, rec := range cl.PollFetches(ctx).Records() {
			if v := string(rec.Value); v == end {
				return values
			} else if v != "" {
				values = append(values, v)
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("saw %q and then no end: a transaction is open", values)
		}
	}
}

func outputs(rs []stream.Record) []stream.Record {
	for i := range rs {
		rs[i].Sink = 1
	}
	return rs
}

func TestOutputsAndOffsetsAreOneTransaction(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 4)
	c := r.dial(t)
	for round := range 3 { // the client lives through many transactions
		if round > 0 {
			r.feed(t, 4*round, 4*round+4)
		}
		rs, marks := poll(t, c, 4)
		c.Write(outputs(rs))
		if _, err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
			t.Fatal(err)
		}
		for p, next := range marks {
			if got, err := c.Committed(t.Context(), p); err != nil || got.Floor != next-1 || got.Head != next || got.Nonce != "n" {
				t.Errorf("%v: committed %+v, %v; want the floor %d", p, got, err, next-1)
			}
		}
	}
	if got := r.visible(t); len(got) != 12 {
		t.Errorf("%d outputs are visible: %q", len(got), got)
	}
}

func TestWhatIsNotCommittedIsNeverSeen(t *testing.T) {
	for name, spoil := range map[string]func(*Client){
		"refused by the guard": func(c *Client) { c.member.drop(map[string][]int32{"in": {0}}, nil) },
		"left open":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).transactional(t)
			r.feed(t, 0, 4)
			c := r.dial(t)
			rs, marks := poll(t, c, 4)
			c.Write(outputs(rs))
			if _, err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if spoil != nil {
				spoil(c)
				if err := c.Commit(t.Context(), commits(marks, "n")); !errors.Is(err, errRefused) {
					t.Errorf("got %v, want a refusal", err)
				}
			}
			c.Close()
			if got := r.visible(t); len(got) != 0 {
				t.Errorf("outputs without offsets are visible: %q", got)
			}
			if got, err := r.dial(t).Committed(t.Context(), stream.Partition{Topic: "in"}); err != nil || got.Floor != -1 {
				t.Errorf("committed %+v, %v; want nothing", got, err)
			}
		})
	}
}

// A process was killed in a transaction. Its successor has the same id: what was left open ends when it starts, and not
// when it times out.
func TestAStableIDEndsWhatADeadHolderLeftOpen(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 2)
	dead := r.dial(t)
	rs, _ := poll(t, dead, 2)
	dead.Write(outputs(rs))
	if _, err := dead.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := r.dial(t)
	if err := next.Poll(t.Context(), &stream.Batch{}); err != nil {
		t.Fatal(err)
	}
	if got := r.visible(t); len(got) != 0 {
		t.Errorf("outputs of the dead are visible: %q", got)
	}
	c := dead
	c.Write(outputs(rs[:1]))
	if _, err := c.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "p.i/0.0") {
		t.Errorf("the dead still writes, or does not say under which name: %v", err)
	}
}

func TestOffsetsWithoutOutputsCommit(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 4)
	c := r.dial(t)
	_, marks := poll(t, c, 4)
	if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	for p := range marks {
		if got, err := c.Committed(t.Context(), p); err != nil || got.Nonce != "n" {
			t.Errorf("%v: committed %+v, %v", p, got, err)
		}
	}
}

// Brokers of an older kind want to be told that the group takes part, and do not know the newer requests.
func TestTransactionsOfOlderBrokers(t *testing.T) {
	v := kversion.V3_7_0()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "in"), kfake.SeedTopics(1, "out"), kfake.MaxVersions(v))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r := &rig{c, Cluster{Brokers: c.ListenAddrs()}, newRig(t).group}
	var added, newer int
	c.ControlKey(int16(kmsg.AddOffsetsToTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		added++
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.TxnOffsetCommit), func(q kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if q.GetVersion() > offsetsExplicit {
			newer++
		}
		return nil, nil, false
	})
	r.transactional(t).feed(t, 0, 4)
	client := r.dial(t)
	rs, marks := poll(t, client, 4)
	client.Write(outputs(rs))
	if _, err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	if client.txn.level != LevelLegacy || added != 1 || newer != 0 {
		t.Errorf("level %q, the group was added %d times, %d requests were too new", client.txn.level, added, newer)
	}
	if got := r.visible(t); len(got) != 4 {
		t.Errorf("%d outputs are visible: %q", len(got), got)
	}
}

func TestOneTransactionHasOneProducer(t *testing.T) {
	r := newRig(t).transactional(t)
	_, err := Dial(r.cluster, r.group, []Output{{Topic: "out"}, {Topic: "out", Compression: "zstd"}}, 1<<20, slog.New(slog.DiscardHandler))
	if !errors.Is(err, stream.ErrHalt) {
		t.Errorf("got %v, want a halt", err)
	}
}

func TestTransactionTimeoutIsBelowTheSession(t *testing.T) {
	for session, want := range map[time.Duration]time.Duration{10 * time.Second: 8 * time.Second, 6 * time.Second: 5 * time.Second,
		time.Second: time.Second * 5 / 6, 30 * time.Minute: maxTransaction} {
		if got := transactionTimeout(session); got != want {
			t.Errorf("%v for a session of %v, want %v", got, session, want)
		}
	}
}

// A record is refused for good, by the client or by the brokers. Its dead letter is written in the same transaction, which
// then commits.
func TestARefusedRecordAndItsDeadLetterAreInTheTransaction(t *testing.T) {
	for name, limit := range map[string]string{"by the client": "10000000", "by the brokers": "1000"} {
		t.Run(name, func(t *testing.T) {
			c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "in"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			r := &rig{c, Cluster{Brokers: c.ListenAddrs()}, Group{Name: "g", Topics: []string{"in"}, SessionTimeout: 6 * time.Second, PollRecords: 100}}
			admin, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(admin.Close)
			if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &limit}, "out"); err != nil {
				t.Fatal(err)
			}
			size := 2 << 20
			if limit == "1000" {
				size = 2000
			}
			r.transactional(t).feed(t, 0, 4)
			cl := r.dial(t)
			rs, marks := poll(t, cl, 4)
			rs[1].Value = make([]byte, size)
			for i := range rs {
				rs[i].Key, rs[i].Headers = nil, nil
			}
			outputs(rs)
			cl.Write(rs[:1])
			if _, err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			cl.Write(rs[1:2]) // in a batch of its own: a broker refuses batches
			refused, err := cl.Flush(t.Context())
			if err != nil || len(refused) != 1 {
				t.Fatalf("refused %d, %v", len(refused), err)
			}
			cl.Write(append(rs[2:], stream.Record{Value: []byte("dead"), Sink: 1}))
			if _, err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := cl.Commit(t.Context(), commits(marks, "n")); err != nil {
				t.Fatal(err)
			}
			if got := r.visible(t); len(got) != 4 || got[3] != "dead" {
				t.Errorf("visible %q", got)
			}
		})
	}
}

// The end of a transaction is not confirmed in time. It is not taken back: the brokers end it, and only they know.
func TestAnEndThatIsNotConfirmedIsUnknownAndNotTakenBack(t *testing.T) {
	r := newRig(t).transactional(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.SleepControl(func() { close(arrived); <-release })
		return nil, nil, false
	})
	r.feed(t, 0, 4)
	c := r.dial(t)
	rs, marks := poll(t, c, 4)
	c.Write(outputs(rs))
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Commit(ctx, commits(marks, "n")) }()
	<-arrived
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "its outcome is unknown") {
		t.Errorf("got %v", err)
	}
	close(release)
	c.Close()
	if got, err := r.dial(t).Committed(t.Context(), stream.Partition{Topic: "in"}); err != nil || got.Nonce != "n" {
		t.Errorf("the end was taken back: %+v, %v", got, err)
	}
	if got := r.visible(t); len(got) != 4 {
		t.Errorf("%d outputs are visible", len(got))
	}
}

// A member joins while another is in a transaction: that one ends it first, and nothing is aborted.
func TestAPlannedRebalanceEndsTheTransactionFirst(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 4)
	c := r.dial(t)
	rs, marks := poll(t, c, 4)
	c.Write(outputs(rs))
	r.group.TransactionalID = "p.i/1.0"
	other := r.dial(t)
	var rev stream.Revocation
	select {
	case rev = <-c.Revoking():
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is revoked")
	}
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	rev.Ended()
	moved := rev.Partitions[0]
	got, _ := poll(t, other, 1) // from the floor, which lies one below what was polled
	if at := got[0].Origin; at.Partition != moved || at.Offset != marks[moved]-1 {
		t.Errorf("the next owner of %v begins at %v", moved, at)
	}
	if got := r.visible(t); len(got) != 4 {
		t.Errorf("%d outputs are visible: %q", len(got), got)
	}
}

func TestWhatWasAbortedBehindTheCommitIsNoGap(t *testing.T) {
	r := newRig(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.TransactionalID("feeder"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	// Of partition 0 the offsets: 0 a record, 1 its marker, 2 an aborted record, 3 its marker, 4 a record, 5 its marker.
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	p := stream.Partition{Topic: "in"}
	c := r.dial(t)
	poll(t, c, 2)
	if err := c.Commit(t.Context(), []stream.Mark{{Partition: p, Commit: stream.Commit{Floor: 2, Head: 2}}}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	again := r.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b stream.Batch
	for len(b.Spans) == 0 && ctx.Err() == nil {
		if err := again.Poll(ctx, &b); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.Spans) == 0 || b.Spans[0].From != 2 || again.Assignment(p).Position != 2 {
		t.Errorf("polled %v from position %d, want both from the committed 2", b.Spans, again.Assignment(p).Position)
	}
}

func TestWhatATransactionWritesWaitsUntilTheBrokersHaveTakenItsFirstWrite(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 6)
	c := r.dial(t)
	rs, marks := poll(t, c, 6)
	rs = outputs(rs)
	arrived, answer := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(arrived) })
	r.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		first()
		<-answer
		return nil, nil, false
	})
	c.Write(rs[:1])
	<-arrived
	c.Write(rs[1:3])
	c.Write(rs[3:])
	if n := c.cl.BufferedProduceRecords(); n != 1 {
		t.Errorf("%d records are on their way though the first is not taken yet; want that one", n)
	}
	if c.Full() {
		t.Error("a few small records fill a client that may hold 1 MiB")
	}
	close(answer)
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	if seen := r.visible(t); len(seen) != 6 {
		t.Errorf("a reader of committed records sees %q; want all 6", seen)
	}
}
