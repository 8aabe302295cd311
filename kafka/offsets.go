package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Standing is where a group stands in one partition.
type Standing struct {
	Partition  stream.Partition
	TopicID    [16]byte
	Start, End int64         // of the log
	At         int64         // what Kafka holds for the group; -1: nothing
	Commit     stream.Commit // Floor -1: nothing was read yet
}

// Offsets looks at a group from outside, and changes what it has committed. Close it in the end.
type Offsets struct {
	cl    *kgo.Client
	adm   *kadm.Client
	group Group
}

// NewOffsets makes a client for it.
func NewOffsets(cluster Cluster, group Group, log *slog.Logger) (*Offsets, error) {
	cl, err := kgo.NewClient(append(cluster.options(log), kgo.RetryTimeout(checkPatience))...)
	if err != nil {
		return nil, fmt.Errorf("making a Kafka client: %w", err)
	}
	return &Offsets{cl: cl, adm: kadm.NewClient(cl), group: group}, nil
}

// Close ends its connections.
func (o *Offsets) Close() { o.cl.Close() }

// Standings tells where the group stands, by topic and partition.
func (o *Offsets) Standings(ctx context.Context) ([]Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	topics, err := o.adm.ListTopics(ctx, o.group.Topics...)
	if err != nil {
		return nil, fmt.Errorf("%w: asking for topics: %w", stream.ErrUnavailable, err)
	}
	starts, err := o.adm.ListStartOffsets(ctx, o.group.Topics...)
	if err != nil {
		return nil, fmt.Errorf("asking where topics start: %w", err)
	}
	ends, err := o.adm.ListEndOffsets(ctx, o.group.Topics...)
	if err != nil {
		return nil, fmt.Errorf("asking where topics end: %w", err)
	}
	commits, err := o.adm.FetchOffsets(ctx, o.group.Name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("asking for the offsets of group %s: %w", o.group.Name, err)
	}
	var list []Standing
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			return nil, topicError(t.Topic, t.Err)
		}
		for _, p := range t.Partitions.Sorted() {
			s := Standing{Partition: stream.Partition{Topic: t.Topic, ID: p.Partition}, TopicID: t.ID, At: -1, Commit: decodeMetadata(-1, nil)}
			start, _ := starts.Lookup(t.Topic, p.Partition)
			end, _ := ends.Lookup(t.Topic, p.Partition)
			if err := errors.Join(start.Err, end.Err); err != nil {
				return nil, fmt.Errorf("asking for the offsets of %v: %w", s.Partition, err)
			}
			s.Start, s.End = start.Offset, end.Offset
			if c, ok := commits.Lookup(t.Topic, p.Partition); ok && c.At >= 0 {
				s.At, s.Commit = c.At, decodeMetadata(c.At, &c.Metadata)
			}
			list = append(list, s)
		}
	}
	return list, nil
}

// After returns the first offset of each partition whose record is not older than t, or the end.
func (o *Offsets) After(ctx context.Context, t time.Time) (map[stream.Partition]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	found, err := o.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), o.group.Topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets at %s: %w", t.Format(time.RFC3339), err)
	}
	at := map[stream.Partition]int64{}
	found.Each(func(l kadm.ListedOffset) {
		at[stream.Partition{Topic: l.Topic, ID: l.Partition}] = l.Offset
		err = errors.Join(err, l.Err)
	})
	return at, err
}

// Idle returns nil if the group has no members: only then may anybody else commit for it.
func (o *Offsets) Idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	list, err := members(ctx, o.adm, &o.group)
	if err != nil {
		return err
	}
	if n := len(list); n > 0 {
		return fmt.Errorf("group %s has %d member(s): stop every instance first", o.group.Name, n)
	}
	return nil
}

// Set commits for the group.
func (o *Offsets) Set(ctx context.Context, marks []stream.Mark) error {
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	offsets := kadm.Offsets{}
	for _, m := range marks {
		offsets.Add(kadm.Offset{Topic: m.Partition.Topic, Partition: m.Partition.ID, At: m.Commit.Floor, LeaderEpoch: -1, Metadata: encodeMetadata(m.Commit)})
	}
	if err := o.adm.CommitAllOffsets(ctx, o.group.Name, offsets); err != nil {
		return fmt.Errorf("committing for group %s: %w", o.group.Name, err)
	}
	return nil
}
