package kafka

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A member has sent its offsets and died before the end of the transaction, and the brokers never end it.
func TestWhatWaitsForTheEndOfATransactionIsSaid(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 4)
	c := r.dial(t)
	rs, marks := poll(t, c, 4)
	c.Write(outputs(rs))
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	member, generation := c.cl.GroupMetadata()
	producer, epoch, err := c.cl.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch, q.MemberID, q.Generation = c.txn.id, c.txn.group, producer, epoch, member, generation
	all := map[stream.Partition]stream.Commit{}
	for _, m := range commits(marks, "n") {
		all[m.Partition] = m.Commit
	}
	q.Topics = offsetTopics(all)
	if _, err := q.RequestWith(t.Context(), c.cl); err != nil {
		t.Fatal(err)
	}
	w := NewWatch(r.cluster, r.group, []Output{{Topic: "out"}}, slog.New(slog.DiscardHandler))
	defer w.Close()
	begin := time.Now()
	for after, want := range []struct {
		d    time.Duration
		said int
	}{{0, 0}, {w.limit(), 0}, {w.limit() + time.Second, 3}} { // two offsets, one log
		found := w.Look(t.Context(), begin.Add(want.d))
		if len(found) != want.said {
			t.Errorf("look %d, after %v: %v", after, want.d, found)
		}
		for _, err := range found {
			if !strings.Contains(err.Error(), "kafka-transactions.sh abort") {
				t.Errorf("%v names no remedy", err)
			}
		}
	}
	if err := c.txn.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := w.Look(t.Context(), begin.Add(time.Hour)); len(found) != 0 {
		t.Errorf("after the end: %v", found)
	}
}

func TestCheckTellsTheLevelAndWhatOneReplicaAllows(t *testing.T) {
	r := newRig(t).transactional(t)
	report := Check(t.Context(), r.cluster, r.group, []Output{{Topic: "out"}}, slog.New(slog.DiscardHandler))
	if len(report.Errors) != 0 || report.Level != LevelTwo {
		t.Errorf("report %+v", report)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "one replica: out") || !strings.Contains(report.Warnings[0], "committed outputs may vanish") {
		t.Errorf("warnings %q", report.Warnings)
	}
	r.group.TransactionalID, r.group.Consumer = "", true
	report = Check(t.Context(), r.cluster, r.group, []Output{{Topic: "out"}}, slog.New(slog.DiscardHandler))
	if report.Level != "" || len(report.Warnings)+len(report.Errors) != 1 {
		t.Errorf("report %+v", report)
	}
}
