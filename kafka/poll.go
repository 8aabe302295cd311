package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// HeaderPrefix marks the headers that are ours: taken off records that come from outside, so that nobody forges them.
const HeaderPrefix = "sp-"

// headerHops holds stream.Record.Hops, a plain decimal number. It is believed wherever a record comes from, since the way back
// of a dead letter leads through topics that are not ours, and written wherever it goes, for that may be the way back.
const headerHops = HeaderPrefix + "hops"

// Poll implements pipeline.Client.
func (c *Client) Poll(ctx context.Context, b *stream.Batch) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.interrupt.Store(&stop)
	defer c.interrupt.Store(nil)
	if len(c.member.revoking) > 0 {
		return nil
	}
	if c.txn != nil {
		if ready, err := c.txn.await(ctx); !ready {
			return err
		}
	}
	fetches := c.cl.PollRecords(ctx, c.group.PollRecords)
	if err := c.member.alive(); err != nil {
		return fmt.Errorf("polling group %s: %w", c.group.Name, err)
	}
	if fetches.IsClientClosed() {
		return fmt.Errorf("polling group %s: the client is closed", c.group.Name)
	}
	for i := range fetches {
		for j := range fetches[i].Topics {
			t := &fetches[i].Topics[j]
			if t.TopicID != ([16]byte{}) {
				c.topicIDs[t.Topic] = t.TopicID
			}
			for k := range t.Partitions {
				if err := c.take(b, t.Topic, &t.Partitions[k]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// take moves the records of one partition's fetch into the batch (guards G4 and G5b and e).
func (c *Client) take(b *stream.Batch, topic string, fp *kgo.FetchPartition) error {
	p := stream.Partition{Topic: topic, ID: fp.Partition}
	end := endOf(fp)
	if err := fetchError(p, fp.Err); err != nil && end.large == nil {
		var answer *kerr.Error
		if fp.HighWatermark > 0 && !errors.As(err, &answer) { // bytes came, and it is they that are wrong
			return fmt.Errorf("%w: a batch cannot be read, nor what is behind it: if it stays so, mend the log from another replica, or move on by streamproc offsets --reset", err)
		}
		return err
	}
	if end.next == 0 {
		return nil
	}
	s, ok := c.member.stamp(p)
	if !ok {
		return nil // polled while it was given up: the next owner reads it
	}
	at := c.parts[p]
	if at == nil || at.stamp != s {
		start, floor := end.first, c.floor(p)
		if floor >= 0 {
			start = floor // between the two is nothing to be read: it was aborted, or compacted
		}
		at = &position{stamp: s, first: start, next: start, deaf: floor < 0 && len(fp.Records) == 0}
		c.parts[p] = at
	}
	if end.first < at.next && len(fp.Records) > 0 {
		return fmt.Errorf("polling %v: got offset %d again, being at %d", p, end.first, at.next)
	}
	if old, was := c.polled[p]; was && old != s && guarded {
		return fmt.Errorf("polling %v: it was assigned anew within a checkpoint", p)
	}
	c.polled[p] = s
	from := at.next
	at.next, at.end = end.next, min(fp.HighWatermark, fp.LastStableOffset)
	if fp.LastStableOffset < 0 {
		at.end = fp.HighWatermark
	}
	n := len(b.Records)
	b.Records = appendRecords(b.Records, p, fp.Records, c.group.TrustedTopics[topic])
	if end.large != nil {
		if len(fp.Records) == 0 {
			end.fail(b, p, from)
		}
		end.goOn(c.cl, p)
		if now, ok := c.member.stamp(p); !ok || now != s { // or what the next assignment begins with was set by this
			return fmt.Errorf("polling %v: it was assigned anew while a batch that is too large was stepped over", p)
		}
	}
	b.Spans = append(b.Spans, stream.Span{Partition: p, From: from, To: end.next, Records: len(b.Records) - n})
	return nil
}

// floor is the offset that the group had committed for p when it was assigned, or -1.
func (c *Client) floor(p stream.Partition) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	commit, ok := c.fetched[p]
	if !ok || commit.Floor < 0 && commit.Head == 0 {
		return -1
	}
	return begins(commit)
}

func appendRecords(rs []stream.Record, p stream.Partition, from []*kgo.Record, trusted bool) []stream.Record {
	var headers []stream.Header // one allocation for all of them
	for _, r := range from {
		if r.Attrs.IsControl() {
			continue
		}
		rec := stream.Record{Key: r.Key, Value: r.Value, Timestamp: r.Timestamp.UnixMilli(),
			Origin: stream.Coordinate{Partition: p, LeaderEpoch: r.LeaderEpoch, Offset: r.Offset}}
		if len(r.Headers) > 0 {
			start := len(headers)
			for _, h := range r.Headers {
				switch ours := strings.HasPrefix(h.Key, HeaderPrefix); {
				case ours && h.Key == headerHops:
					rec.Hops = max(rec.Hops, hopsOf(h.Value)) // of several the one that ends soonest
				case !ours || trusted:
					headers = append(headers, stream.Header(h))
				}
			}
			rec.Headers = headers[start:len(headers):len(headers)]
		}
		rs = append(rs, rec)
	}
	return rs
}

// hopsOf reads what formatHops has written. Anything else is none.
func hopsOf(v []byte) uint8 {
	if len(v) == 0 || len(v) > len("255") {
		return 0
	}
	n, err := strconv.ParseUint(string(v), 10, 8)
	if err != nil || v[0] == '0' {
		return 0
	}
	return uint8(n)
}

func formatHops(n uint8) []byte { return strconv.AppendUint(nil, uint64(n), 10) }

// fetchError tells trouble that passes (nil) from trouble that must end the membership.
func fetchError(p stream.Partition, err error) error {
	var loss *kgo.ErrDataLoss
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.As(err, &loss):
		return fmt.Errorf("%w: %v lost records after they were acknowledged: %w", stream.ErrHalt, p, err)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("%w: %v no longer holds the committed offset: retention has passed it: %w", stream.ErrHalt, p, err)
	}
	return fmt.Errorf("fetching %v: %w", p, err)
}
