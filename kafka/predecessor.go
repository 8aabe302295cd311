package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberName names the client of a member, so that the next holder of its transactional id finds the member that it left.
func (g *Group) memberName(client string) string {
	if g.TransactionalID == "" {
		return client
	}
	return client + "-" + g.TransactionalID
}

// member is one of a group, as its coordinator tells.
type member struct{ id, client, host string }

// retirePredecessor takes out of the group whom an earlier holder of the transactional id has left in it. The id is ours: a
// predecessor that is dead, or frozen, cannot commit any more, and would be missed by the group only after a session, which
// everybody waits for who joins meanwhile. It is no harm if that fails: the session ends then.
func retirePredecessor(ctx context.Context, cl *kgo.Client, group *Group, name string, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, group.session())
	defer cancel()
	list, err := members(ctx, kadm.NewClient(cl), group)
	own, _ := cl.GroupMetadata() // a client knows its id before it is in the list
	for _, m := range list {
		if m.client != name || m.id == own {
			continue
		}
		if err = errors.Join(err, leave(ctx, cl, group, m.id, "another holds its transactional id")); err == nil {
			log.Info("the last holder of a transactional id was still a member of the group, and is taken out of it; if both live, give each process a name by STREAMPROC_INSTANCE",
				"transactional_id", group.TransactionalID, "group", group.Name, "host", m.host)
		}
	}
	if err != nil {
		log.Warn("the last holder of a transactional id may be a member of the group until its session ends",
			"transactional_id", group.TransactionalID, "group", group.Name, "session", group.session(), "error", err)
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
