package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
func TestARestartTakesTheDeadOneOutOfTheGroup(t *testing.T) {
	for _, g := range []Group{{}, {Consumer: true}, {TransactionalID: "p.i/0.0"}, {TransactionalID: "p.i/0.0", Consumer: true}} {
		r := newRig(t).named("p.i/0.0")
		r.group.TransactionalID, r.group.Consumer = g.TransactionalID, g.Consumer
		r.feed(t, 0, 4)
		dead := r.dial(t)
		poll(t, dead, 4)
		dead.cut() // nothing is heard of it any more
		next := r.dial(t)
		poll(t, next, 4)
		if got := r.members(t); len(got) != 1 || got[0] != r.group.memberName("") {
			t.Errorf("consumer protocol %v, transactional id %q: the group has members %v, want the successor alone", g.Consumer, g.TransactionalID, got)
		}
	}
}

// Were the dead one taken out first, the group would be empty, and the brokers would wait for more members to come.
func TestTheDeadOneStaysUntilItsSuccessorHasJoined(t *testing.T) {
	r := newRig(t).named("p.i/0.0")
	r.feed(t, 0, 4)
	dead := r.dial(t)
	poll(t, dead, 4)
	dead.cut()
	var mu sync.Mutex
	var seen []string
	note := func(key kmsg.Key, what func(kmsg.Request) bool) {
		r.ControlKey(int16(key), func(q kmsg.Request) (kmsg.Response, error, bool) {
			r.KeepControl()
			if what(q) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, key.Name())
			}
			return nil, nil, false
		})
	}
	note(kmsg.JoinGroup, func(q kmsg.Request) bool { return q.(*kmsg.JoinGroupRequest).MemberID != "" })
	note(kmsg.LeaveGroup, func(kmsg.Request) bool { return true })
	poll(t, r.dial(t), 4)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) < 2 || seen[0] != "JoinGroup" || seen[1] != "LeaveGroup" {
		t.Errorf("the group saw %v", seen)
	}
}

// The frozen one goes on when another has its place: it has no part in the group any more, and does not commit.
func TestAPredecessorThatLivesIsOut(t *testing.T) {
	for _, id := range []string{"", "p.i/0.0"} {
		r := newRig(t).named("p.i/0.0")
		r.group.TransactionalID = id
		r.feed(t, 0, 4)
		frozen := r.dial(t)
		_, marks := poll(t, frozen, 4)
		var log bytes.Buffer
		r.dialLogging(t, &log)
		if err := frozen.Commit(t.Context(), commits(marks, "n")); err == nil {
			t.Errorf("transactional id %q: it commits without outputs, which no transaction fences", id)
		}
		if got := log.String(); !strings.Contains(got, "STREAMPROC_INSTANCE") || !strings.Contains(got, r.group.Member) {
			t.Errorf("nobody is told of two that have one name; the log is %q", got)
		}
	}
}

// Whoever has another name stays, and so does one without.
func TestNobodyElseIsTakenOut(t *testing.T) {
	r := newRig(t).named("")
	unnamed := r.dial(t)
	other := r.named("p.i/0.1").dial(t)
	r.await(t, 2, unnamed, other)
	next := r.named("p.i/0.0").dial(t)
	r.await(t, 3, unnamed, other, next)
	<-next.succeeded
	for _, c := range []*Client{unnamed, other, next} {
		if err := c.member.alive(); err != nil {
			t.Errorf("the member of name %q is out: %v", c.group.Member, err)
		}
	}
}

// Two processes have one name by mistake: one that comes back does not throw the other out.
func TestTwoOfOneNameDoNotThrowEachOtherOutForEver(t *testing.T) {
	r := newRig(t).named("p.i/0.0")
	one := r.dial(t)
	r.await(t, 1, one)
	r.group.Fresh = false
	back := r.dial(t)
	<-back.succeeded
	r.await(t, 2, one, back)
	if err := one.member.alive(); err != nil {
		t.Error(err)
	}
}

// named gives the members that are dialled from now on a name, as a process that has just started, and a session that
// does not end within a test.
func (r *rig) named(name string) *rig {
	r.group.Member, r.group.Fresh, r.group.SessionTimeout = name, true, long
	return r
}

// Where the group may not be described, the successor says what it has to wait for, and works.
func TestAPredecessorThatCannotBeSeenIsWaitedFor(t *testing.T) {
	r := newRig(t).named("p.i/0.0")
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

// dialLogging dials a client whose log can be read: it has looked for its predecessor.
func (r *rig) dialLogging(t *testing.T, log *bytes.Buffer) *Client {
	t.Helper()
	c, err := Dial(r.cluster, r.group, []Output{{Topic: "out"}}, 1<<20, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	<-c.succeeded
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
