package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group that starts at the latest records begins a topic once: the owner of its first partition commits the ends of all
// partitions in one request, and from then on a partition without a commit is one that was added, and is read whole. If each
// partition were read from its end until records of it are committed, what is written while it has no owner, or before it is
// noticed, would be skipped. docs/decisions/0019-start-latest.md has the reasons in full.

// beginPatience is how long a member waits for another one to begin a topic. A member that is dead is missed earlier, by any
// session timeout but a very long one, and that ends the wait with the assignment.
const beginPatience = time.Minute

var (
	errAwaited  = errors.New("the member that owns its first partition has not said where the group begins")
	errNotBegun = errors.New("the group has not begun its topics")
)

// settle says where partitions are read for which the group has no commit. franz-go calls it between the fetch of the
// offsets and the first fetch of records; ctx ends with the assignment. Where it cannot say, the membership ends: nothing is
// read by guess.
func (c *Client) settle(ctx context.Context, at map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if !c.group.Start.Latest {
		return at, nil
	}
	for topic, ps := range at {
		if err := c.settleTopic(ctx, topic, ps); err != nil {
			over := ctx.Err()
			if over == nil || errors.Is(err, errLate) {
				c.end(fmt.Errorf("finding where group %s begins topic %s: %w", c.group.Name, topic, err))
			}
			if over != nil {
				return nil, over
			}
			return nil, errNotBegun
		}
	}
	return at, nil
}

// end ends the membership, and tells the worker.
func (c *Client) end(why error) {
	c.member.drop(nil, why)
	if stop := c.interrupt.Load(); stop != nil {
		(*stop)()
	}
}

func (c *Client) settleTopic(ctx context.Context, topic string, ps map[int32]kgo.Offset) error {
	if !anyOpen(ps) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beginPatience)
	defer cancel()
	for tries := 1; ; tries++ {
		held, err := c.held(ctx, topic)
		if _, begun := held[0]; err == nil && !begun {
			held, err = c.begin(ctx, topic, held)
		}
		if err == nil {
			c.place(topic, ps, held)
			return nil
		}
		if errors.Is(err, errLate) || errors.Is(err, errRefused) || !pass(ctx, retryBackoff(tries)) {
			return err
		}
	}
}

// anyOpen says whether a partition has no commit: franz-go gives it a place, not an offset.
func anyOpen(ps map[int32]kgo.Offset) bool {
	for _, o := range ps {
		if o.EpochOffset().Offset < 0 {
			return true
		}
	}
	return false
}

// held is what the group has committed of a topic, once no transaction is pending on it.
func (c *Client) held(ctx context.Context, topic string) (map[int32]stream.Commit, error) {
	rs, err := kadm.NewClient(c.caller).FetchOffsetsForTopics(kadm.RequireStable(ctx), c.group.Name, topic)
	if err != nil {
		return nil, fmt.Errorf("asking for its commits: %w", err)
	}
	held := map[int32]stream.Commit{}
	for id, r := range rs[topic] {
		if r.At >= 0 {
			held[id] = decodeMetadata(r.At, &r.Metadata)
		}
	}
	return held, nil
}

// begin commits the ends of all partitions that have no commit, if the first one is ours, and adds them to what is held.
// A request that is not answered is the last one of its membership: it may arrive yet, and behind a second one it would put
// the offsets back, over what has been committed since. That of an earlier generation is refused by the group.
func (c *Client) begin(ctx context.Context, topic string, held map[int32]stream.Commit) (map[int32]stream.Commit, error) {
	first := stream.Partition{Topic: topic}
	s, mine := c.member.stamp(first)
	if !mine {
		return nil, errAwaited
	}
	q, err := c.ends(ctx, topic, held)
	if err != nil {
		return nil, err
	}
	coordinator := kadm.NewClient(c.caller).FindGroupCoordinators(ctx, c.group.Name)[c.group.Name]
	if coordinator.Err != nil {
		return nil, fmt.Errorf("asking for the coordinator: %w", coordinator.Err)
	}
	q.Group = c.group.Name
	q.MemberID, q.Generation = c.caller.GroupMetadata()
	if err := c.member.verify(q.MemberID, map[stream.Partition]stamp{first: s}); err != nil {
		return nil, err
	}
	resp, err := c.caller.Broker(int(coordinator.NodeID)).Request(ctx, q) // this one sends nothing again
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLate, err)
	}
	if err := commitError(resp.(*kmsg.OffsetCommitResponse), nil); err != nil {
		return nil, fmt.Errorf("committing where it begins: %w", err)
	}
	for _, p := range q.Topics[0].Partitions {
		held[p.Partition] = decodeMetadata(p.Offset, p.Metadata)
	}
	c.log.Info("the group begins a topic at its end", "group", c.group.Name, "topic", topic, "partitions", len(q.Topics[0].Partitions))
	return held, nil
}

// ends is a commit of the ends of a topic, without what is held already. Of a transaction that is open it skips nothing.
func (c *Client) ends(ctx context.Context, topic string, held map[int32]stream.Commit) (*kmsg.OffsetCommitRequest, error) {
	adm := kadm.NewClient(c.caller)
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("asking where it ends: %w", err)
	}
	topics, err := adm.ListTopics(ctx, topic)
	if err == nil {
		err = topics[topic].Err
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the topic: %w", err)
	}
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, topics[topic].ID
	for id, end := range ends[topic] {
		if _, ok := held[id]; ok {
			continue
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = id, end.Offset, kmsg.StringPtr(begunMetadata)
		t.Partitions = append(t.Partitions, p)
	}
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Topics = append(q.Topics, t)
	return q, nil
}

// place gives each partition that had no commit the one that is held by now, or the beginning if it was added since.
func (c *Client) place(topic string, ps map[int32]kgo.Offset, held map[int32]stream.Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, o := range ps {
		if o.EpochOffset().Offset >= 0 {
			continue
		}
		ps[id] = kgo.NewOffset().AtStart()
		if commit, ok := held[id]; ok {
			ps[id] = kgo.NewOffset().At(begins(commit))
			c.fetched[stream.Partition{Topic: topic, ID: id}] = commit
		}
	}
}
