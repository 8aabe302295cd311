package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveAfter is how long franz-go may take to leave the group before it is done in its place.
const leaveAfter = time.Second

// Close implements pipeline.Client: it leaves the group, so that the partitions move on at once. franz-go's close waits
// for a JoinGroup in flight, and leaves only then; past closeWait it goes on by itself.
func (c *Client) Close() {
	c.closeOnce.Do(func() { close(c.closed) })
	member, _ := c.cl.GroupMetadata()
	done := make(chan struct{})
	go func() {
		if c.txn != nil {
			c.txn.close()
		}
		c.cl.CloseAllowingRebalance()
		c.out.close()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(leaveAfter):
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait-leaveAfter)
	defer cancel()
	if err := c.leave(ctx, member); err != nil {
		c.log.Debug("the group is not left yet", "member", member, "error", err)
	}
	select {
	case <-done:
	case <-ctx.Done():
		c.log.Warn("the Kafka client is slow to close; going on without it", "waited", closeWait)
	}
}

// leave takes a member out of the group by a connection of its own: behind a JoinGroup in flight the client's is not read.
// The group answers that JoinGroup at once, and does not keep partitions for who is gone. A member of the consumer protocol
// has no such request.
func (c *Client) leave(ctx context.Context, member string) error {
	if member == "" || c.group.Consumer {
		return nil
	}
	cl, err := kgo.NewClient(c.cluster.options(c.log)...)
	if err != nil {
		return fmt.Errorf("making a Kafka client: %w", err)
	}
	defer cl.Close()
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group, q.MemberID = c.group.Name, member
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.Reason = member, kmsg.StringPtr("closed while it joined")
	q.Members = append(q.Members, m)
	resp, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("leaving group %s: %w", c.group.Name, err)
	}
	return nil
}
