package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	historyPoll     = 10_000           // records of one visit
	historyPatience = 20 * time.Second // without a record for so long, reading history has failed
	unstableWait    = 5 * time.Second  // how long Committed waits for pending transactions
)

// Replay implements pipeline.Client, by a client of its own that is no member of the group.
func (c *Client) Replay(ctx context.Context, p stream.Partition, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	start, err := c.logStart(ctx, p)
	if err != nil {
		return 0, err
	}
	from = max(from, start)
	if from >= to {
		return from, nil
	}
	cl, err := kgo.NewClient(append(c.cluster.options(c.log), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxWait(fetchMaxWait), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.ID: kgo.NewOffset().At(from)}}))...)
	if err != nil {
		return 0, fmt.Errorf("making a Kafka client to read %v again: %w", p, err)
	}
	defer cl.Close()
	var b stream.Batch
	for at, last := from, time.Now(); at < to; {
		if time.Since(last) > historyPatience {
			return 0, fmt.Errorf("%w: reading %v again, from %d to %d, stands at %d", stream.ErrUnavailable, p, from, to, at)
		}
		px, cancel := context.WithTimeout(ctx, time.Second)
		fetches := cl.PollRecords(px, historyPoll)
		cancel()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b.Reset()
		next := at
		for _, e := range fetches.Errors() {
			if err := fetchError(p, e.Err); err != nil && !errors.Is(err, kgo.ErrMaxDecompress) {
				return 0, err
			}
		}
		fetches.EachPartition(func(ft kgo.FetchTopicPartition) {
			end := endOf(&ft.FetchPartition)
			if end.next == 0 {
				return
			}
			rs := ft.Records
			for len(rs) > 0 && rs[len(rs)-1].Offset >= to {
				rs = rs[:len(rs)-1]
			}
			b.Records = appendRecords(b.Records, p, rs, c.group.TrustedTopics[p.Topic])
			if end.large != nil {
				if len(ft.Records) == 0 && max(at, end.first) < to {
					end.fail(&b, p, at)
				}
				end.goOn(cl, p)
			}
			next = end.next
		})
		if next == at {
			continue
		}
		last = time.Now()
		b.Spans = append(b.Spans, stream.Span{Partition: p, From: at, To: min(next, to), Records: len(b.Records)})
		at = next
		if err := visit(&b); err != nil {
			return 0, err
		}
	}
	return from, nil
}

func (c *Client) logStart(ctx context.Context, p stream.Partition) (int64, error) {
	starts, err := kadm.NewClient(c.cl).ListStartOffsets(ctx, p.Topic)
	if err != nil {
		return 0, fmt.Errorf("%w: asking where %v starts: %w", stream.ErrUnavailable, p, err)
	}
	o, ok := starts.Lookup(p.Topic, p.ID)
	if !ok || o.Err != nil {
		return 0, fmt.Errorf("%w: asking where %v starts: %w", stream.ErrUnavailable, p, o.Err)
	}
	return o.Offset, nil
}

// Committed implements pipeline.Client. It waits, for a bounded time, while a transaction on the offsets is pending.
func (c *Client) Committed(ctx context.Context, p stream.Partition) (stream.Commit, error) {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.RequireStable = true
	g, t := kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroupTopic()
	g.Group, t.Topic, t.TopicID, t.Partitions = c.group.Name, p.Topic, c.topicIDs[p.Topic], []int32{p.ID}
	g.Topics = append(g.Topics, t)
	q.Groups = append(q.Groups, g)
	for end := time.Now().Add(unstableWait); ; {
		commit, err := c.fetchCommit(ctx, q)
		if err != kerr.UnstableOffsetCommit || time.Now().After(end) { //nolint:errorlint // compared with the code itself
			if err != nil {
				return commit, fmt.Errorf("fetching the commit of %v: %w", p, err)
			}
			return commit, nil
		}
		select {
		case <-ctx.Done():
			return commit, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Client) fetchCommit(ctx context.Context, q *kmsg.OffsetFetchRequest) (stream.Commit, error) {
	resp, err := q.RequestWith(ctx, c.cl)
	if err != nil {
		return stream.Commit{}, err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return stream.Commit{}, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return stream.Commit{}, err
				}
				return decodeMetadata(p.Offset, p.Metadata), nil
			}
		}
	}
	return stream.Commit{}, fmt.Errorf("the answer names no partition")
}
