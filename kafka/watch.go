package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// standsAfter is how much longer than a transaction may be open something may stand still for want of its end: brokers look
// for transactions that have timed out every ten seconds.
const standsAfter = 20 * time.Second

const remedy = "find it with kafka-transactions.sh find-hanging, end it with kafka-transactions.sh abort"

// Watch finds what makes a group stand still without an error: offsets that wait for the end of a transaction, and logs
// whose committed part does not grow. It compares what it sees with what it saw; its methods are for one goroutine.
type Watch struct {
	cluster Cluster
	group   Group
	topics  []string // of inputs and outputs
	log     *slog.Logger
	cl      *kgo.Client // made at the first look
	pending map[stream.Partition]time.Time
	stable  map[stream.Partition]stable
}

// stable is how far the committed part of a log went, and since when.
type stable struct {
	offset int64
	since  time.Time
}

// NewWatch returns a Watch for a group and the outputs of its pipeline.
func NewWatch(cluster Cluster, group Group, outputs []Output, log *slog.Logger) *Watch {
	w := &Watch{cluster: cluster, group: group, topics: append([]string(nil), group.Topics...), log: log, pending: map[stream.Partition]time.Time{}, stable: map[stream.Partition]stable{}}
	for _, o := range outputs {
		if o.Cluster == nil {
			w.topics = append(w.topics, o.Topic)
		}
	}
	return w
}

// Look returns what stands still at now, each with its remedy. A cluster that does not answer is not its business.
func (w *Watch) Look(ctx context.Context, now time.Time) (found []error) {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	if w.cl == nil {
		cl, err := kgo.NewClient(append(w.cluster.options(w.log), kgo.RetryTimeout(checkPatience))...)
		if err != nil {
			return nil
		}
		w.cl = cl
	}
	return append(w.offsets(ctx, now), w.logs(ctx, now)...)
}

// Close lets go of the connections.
func (w *Watch) Close() {
	if w.cl != nil {
		w.cl.Close()
	}
}

func (w *Watch) limit() time.Duration { return w.group.TransactionTimeout() + standsAfter }

// offsets looks for offsets of the group that wait for the end of a transaction: who is to read there waits too.
func (w *Watch) offsets(ctx context.Context, now time.Time) (found []error) {
	topics, err := kadm.NewClient(w.cl).ListTopics(ctx, w.group.Topics...)
	if err != nil {
		return nil
	}
	q := kmsg.NewPtrOffsetFetchRequest()
	q.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = w.group.Name
	for _, topic := range topics.Sorted() {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = topic.Topic, topic.ID, topic.Partitions.Numbers()
		g.Topics = append(g.Topics, t)
	}
	q.Groups = append(q.Groups, g)
	resp, err := q.RequestWith(ctx, w.cl)
	if err != nil {
		return nil
	}
	pending := map[stream.Partition]time.Time{}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != kerr.UnstableOffsetCommit.Code {
					continue
				}
				at := stream.Partition{Topic: t.Topic, ID: p.Partition}
				pending[at] = now
				if since, ok := w.pending[at]; ok {
					pending[at] = since
				}
				if d := now.Sub(pending[at]); d > w.limit() {
					found = append(found, fmt.Errorf("the offset of %v in group %s has waited %v for the end of a transaction, longer than one may be open: its markers were lost by the brokers, or another producer holds it; %s", at, w.group.Name, d.Round(time.Second), remedy))
				}
			}
		}
	}
	w.pending = pending
	return found
}

// logs looks for logs whose committed part does not grow though there is more.
func (w *Watch) logs(ctx context.Context, now time.Time) (found []error) {
	adm := kadm.NewClient(w.cl)
	ends, err := adm.ListEndOffsets(ctx, w.topics...)
	if err != nil {
		return nil
	}
	committed, err := adm.ListCommittedOffsets(ctx, w.topics...)
	if err != nil {
		return nil
	}
	standing := map[stream.Partition]stable{}
	committed.Each(func(o kadm.ListedOffset) {
		end, ok := ends.Lookup(o.Topic, o.Partition)
		if !ok || o.Err != nil || end.Err != nil || o.Offset >= end.Offset {
			return
		}
		at := stream.Partition{Topic: o.Topic, ID: o.Partition}
		s := stable{o.Offset, now}
		if was, ok := w.stable[at]; ok && was.offset == o.Offset {
			s.since = was.since
		}
		standing[at] = s
		if d := now.Sub(s.since); d > w.limit() {
			found = append(found, fmt.Errorf("%v holds %d records from offset %d on that nobody who reads committed records gets: a transaction on it has been open for %v; %s", at, end.Offset-o.Offset, o.Offset, d.Round(time.Second), remedy))
		}
	})
	w.stable = standing
	return found
}
