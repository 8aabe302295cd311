package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// long is a session that does not end within a test.
const long = 5 * time.Minute

// A process was killed, and is started again at once. What it had read moves to its successor, with no session to wait for.
func TestTheNextHolderTakesTheDeadOneOutOfTheGroup(t *testing.T) {
	for _, consumer := range []bool{false, true} {
		r := newRig(t).transactional(t)
		r.group.SessionTimeout, r.group.Consumer = long, consumer
		r.feed(t, 0, 4)
		dead := r.dial(t)
		poll(t, dead, 4)
		dead.cut() // nothing is heard of it any more
		next := r.dial(t)
		poll(t, next, 4)
		if got := r.members(t); len(got) != 1 || got[0] != r.group.memberName("") {
			t.Errorf("consumer protocol %v: the group has members %v, want the successor alone", consumer, got)
		}
	}
}

// The frozen one goes on when another has its place: it has no part in the group any more, and does not commit.
func TestAPredecessorThatLivesIsOut(t *testing.T) {
	r := newRig(t).transactional(t)
	r.group.SessionTimeout = long
	r.feed(t, 0, 4)
	frozen := r.dial(t)
	_, marks := poll(t, frozen, 4)
	var log bytes.Buffer
	r.dialLogging(t, &log)
	if err := frozen.Commit(t.Context(), commits(marks, "n")); err == nil {
		t.Error("it commits without outputs, which no transaction fences")
	}
	if got := log.String(); !strings.Contains(got, "STREAMPROC_INSTANCE") || !strings.Contains(got, r.group.TransactionalID) {
		t.Errorf("nobody is told of two holders of one id; the log is %q", got)
	}
}

// Whoever has another id stays, and so does a member without one.
func TestNobodyElseIsTakenOut(t *testing.T) {
	r := newRig(t)
	r.group.SessionTimeout = long
	plain := r.dial(t)
	r.group.TransactionalID = "p.i/0.1"
	other := r.dial(t)
	r.await(t, 2, plain, other)
	next := r.transactional(t).dial(t)
	r.await(t, 3, plain, other, next)
	<-next.txn.ready
	for _, c := range []*Client{plain, other, next} {
		if err := c.member.alive(); err != nil {
			t.Errorf("the member of id %q is out: %v", c.group.TransactionalID, err)
		}
	}
}

// Where the group may not be described, the successor says what it has to wait for, and works.
func TestAPredecessorThatCannotBeSeenIsWaitedFor(t *testing.T) {
	r := newRig(t).transactional(t)
	r.ControlKey(int16(kmsg.DescribeGroups), func(q kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		resp := q.ResponseKind().(*kmsg.DescribeGroupsResponse)
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.ErrorCode = r.group.Name, kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
	r.feed(t, 0, 2)
	var log bytes.Buffer
	c := r.dialLogging(t, &log)
	poll(t, c, 2)
	if got := log.String(); !strings.Contains(got, "until its session ends") || !strings.Contains(got, kerr.GroupAuthorizationFailed.Message) {
		t.Errorf("the log is %q", got)
	}
}

// dialLogging dials a client whose log can be read once its id is granted.
func (r *rig) dialLogging(t *testing.T, log *bytes.Buffer) *Client {
	t.Helper()
	c, err := Dial(r.cluster, r.group, []Output{{Topic: "out"}}, 1<<20, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	<-c.txn.ready
	return c
}

// members are the names of the members of the group.
func (r *rig) members(t *testing.T) (names []string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	list, err := members(t.Context(), kadm.NewClient(cl), &r.group)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		names = append(names, m.client)
	}
	slices.Sort(names)
	return names
}

// await polls as all of cs until the group has n members.
func (r *rig) await(t *testing.T, n int, cs ...*Client) {
	t.Helper()
	end, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(r.members(t)) != n {
		if end.Err() != nil {
			t.Fatalf("the group has members %v, want %d", r.members(t), n)
		}
		for _, c := range cs {
			ctx, cancel := context.WithTimeout(end, 20*time.Millisecond)
			err := c.Poll(ctx, &stream.Batch{})
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			select {
			case v := <-c.Revoking():
				v.Ended()
			default:
			}
		}
	}
}
