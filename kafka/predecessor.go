package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberName names the client of a member, so that the next process of its name finds the member that it left.
func (g *Group) memberName(client string) string {
	if g.Member == "" {
		return client
	}
	return client + "-" + g.Member
}

// member is one of a group, as its coordinator tells.
type member struct{ id, client, host string }

// succeed takes out of the group whom an earlier process of this name has left in it. The group would miss that one only
// after a session, which everybody waits for who joins meanwhile. Should it live, it is as one whose session has ended: its
// commits are refused, and its transactions fenced, by then. It is no harm if this fails: the session ends by itself.
//
// It is done once in a process, so that two that have one name by mistake disturb each other once, and then work.
func (c *Client) succeed(ctx context.Context) {
	defer close(c.succeeded)
	if !c.group.Fresh || c.group.Member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.group.session())
	defer cancel()
	if c.txn != nil {
		select {
		case <-c.txn.ready:
		case <-ctx.Done():
			return
		}
	}
	before, err := c.predecessors(ctx)
	for _, m := range before {
		if err = errors.Join(err, leave(ctx, c.cl, &c.group, m.id, "another has its name")); err == nil {
			c.log.Info("an earlier process of this name was a member of the group yet, and is taken out of it; if both live, give each a name by STREAMPROC_INSTANCE",
				"member", c.group.Member, "group", c.group.Name, "host", m.host)
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.Warn("what an earlier process of this name left in the group may stay there until its session ends",
			"member", c.group.Member, "group", c.group.Name, "session", c.group.session(), "error", err)
	}
}

// joinPatience is how long a predecessor stays until its successor is in the group too. Where the last member goes before the
// next one has joined, the brokers wait for more to come (group.initial.rebalance.delay.ms, 3 s unless told otherwise). With the
// consumer protocol they do not, and whoever joins before it has gone is given its partitions by a later heartbeat.
const joinPatience = time.Second

// predecessors are the members of this one's name, in the classic protocol once it is a member itself.
func (c *Client) predecessors(ctx context.Context) ([]member, error) {
	for begin := time.Now(); ; {
		list, err := members(ctx, kadm.NewClient(c.cl), &c.group)
		own, _ := c.cl.GroupMetadata() // a client knows its id before it is in the list
		joined := false
		before := slices.DeleteFunc(list, func(m member) bool {
			joined = joined || m.id == own
			return m.id == own || m.client != c.cluster.ClientID
		})
		if err != nil || len(before) == 0 || joined || c.group.Consumer || time.Since(begin) > joinPatience || !pass(ctx, hearEvery) {
			return before, err
		}
	}
}

// members lists those of the group. A group that is not there has none.
func members(ctx context.Context, adm *kadm.Client, group *Group) (list []member, err error) {
	if group.Consumer {
		groups, err := adm.DescribeConsumerGroups(ctx, group.Name)
		for _, g := range groups {
			err = errors.Join(err, g.Err)
			for _, m := range g.Members {
				list = append(list, member{m.MemberID, m.ClientID, m.ClientHost})
			}
		}
		return list, listed(group, err)
	}
	groups, err := adm.DescribeGroups(ctx, group.Name)
	for _, g := range groups {
		err = errors.Join(err, g.Err)
		for _, m := range g.Members {
			list = append(list, member{m.MemberID, m.ClientID, m.ClientHost})
		}
	}
	return list, listed(group, err)
}

func listed(group *Group, err error) error {
	if err == nil || errors.Is(err, kerr.GroupIDNotFound) {
		return nil
	}
	return fmt.Errorf("asking for the members of group %s: %w", group.Name, err)
}

// leave takes a member out of the group. One that is not there has left.
func leave(ctx context.Context, cl *kgo.Client, group *Group, id, why string) error {
	var code int16
	var err error
	if group.Consumer {
		q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.MemberEpoch = group.Name, id, epochOfLeaving
		var resp *kmsg.ConsumerGroupHeartbeatResponse
		if resp, err = q.RequestWith(ctx, cl); err == nil {
			code = resp.ErrorCode
		}
	} else {
		q := kmsg.NewPtrLeaveGroupRequest()
		q.Group, q.MemberID = group.Name, id
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.Reason = id, kmsg.StringPtr(why)
		q.Members = append(q.Members, m)
		var resp *kmsg.LeaveGroupResponse
		if resp, err = q.RequestWith(ctx, cl); err == nil {
			code = resp.ErrorCode
			for _, m := range resp.Members {
				code = cmp.Or(code, m.ErrorCode)
			}
		}
	}
	if err == nil {
		err = kerr.ErrorForCode(code)
	}
	if err == nil || errors.Is(err, kerr.UnknownMemberID) {
		return nil
	}
	return fmt.Errorf("taking member %s out of group %s: %w", id, group.Name, err)
}

// epochOfLeaving is that of a heartbeat by which a member leaves (KIP-848).
const epochOfLeaving = -1
