package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// leaveAfter is how long franz-go may take to leave the group before it is done in its place.
const leaveAfter = abortPatience + time.Second/2

// Close implements pipeline.Client: it leaves the group, so that the partitions move on at once. franz-go's close waits
// for a JoinGroup in flight, and told to leave it would join again; so past leaveAfter it is cut off, and its member taken out of
// the group by a connection of its own. Past closeWait that goes on by itself, for a session at most: the coordinator may be away,
// and after a session it has missed the member by itself.
func (c *Client) Close() {
	c.closeOnce.Do(func() { close(c.closed) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.txn != nil {
			c.txn.close()
		}
		c.cl.CloseAllowingRebalance()
		c.out.close()
	}()
	select {
	case <-done:
		c.cut()
		<-c.succeeded
		return
	case <-time.After(leaveAfter):
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		member, _ := c.cl.GroupMetadata()
		c.cut()
		if err := c.leave(member); err != nil {
			c.log.Debug("the group is not left", "member", member, "error", err)
		}
	}()
	late := time.After(closeWait - leaveAfter)
	for _, over := range []chan struct{}{left, done} {
		select {
		case <-over:
		case <-late:
			c.log.Warn("the Kafka client is slow to close; going on without it", "waited", closeWait)
			return
		}
	}
}

// leave takes a member out of the group.
func (c *Client) leave(member string) error {
	if member == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.group.session())
	defer cancel()
	cl, err := kgo.NewClient(c.cluster.lasting(c.log)...)
	if err != nil {
		return fmt.Errorf("making a Kafka client: %w", err)
	}
	defer cl.Close()
	return leave(ctx, cl, &c.group, member, "closed while it joined")
}
