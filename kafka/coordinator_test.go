package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A coordinator that has just taken over answers for a while that it is not ready.
func TestOffsetsAreSentAgainWhileTheCoordinatorMoves(t *testing.T) {
	r := newRig(t).transactional(t)
	r.feed(t, 0, 4)
	answers := []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.ConcurrentTransactions}
	var sent []string
	r.ControlKey(int16(kmsg.TxnOffsetCommit), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		q := kreq.(*kmsg.TxnOffsetCommitRequest)
		sent = append(sent, q.MemberID)
		if len(sent) > len(answers) {
			return nil, nil, false
		}
		resp := q.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, topic := range q.Topics {
			rt := kmsg.NewTxnOffsetCommitResponseTopic()
			rt.Topic = topic.Topic
			for _, p := range topic.Partitions {
				rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, answers[len(sent)-1].Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	c := r.dial(t)
	rs, marks := poll(t, c, 4)
	c.Write(outputs(rs))
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), commits(marks, "n")); err != nil {
		t.Fatal(err)
	}
	member, _ := c.cl.GroupMetadata()
	for i, m := range sent {
		if m != member {
			t.Errorf("request %d was sent as member %q, want %q", i, m, member)
		}
	}
	if got := r.visible(t); len(got) != 4 || len(sent) != len(answers)+1 {
		t.Errorf("%d outputs are visible after %d requests", len(got), len(sent))
	}
}

// A commit that the network holds up is not sent again: it would put the offsets back when it arrives behind the next one.
func TestACommitThatMayArriveYetIsNotSentAgain(t *testing.T) {
	for _, late := range []struct {
		name string
		err  error
		sent int
	}{
		{"an answer that does not come in time", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 1},
		{"a connection that breaks", io.EOF, 2},
	} {
		t.Run(late.name, func(t *testing.T) {
			r := newRig(t)
			r.feed(t, 0, 4)
			c := r.dial(t)
			_, marks := poll(t, c, 4)
			sent := 0
			r.ControlKey(int16(kmsg.OffsetCommit), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
				r.KeepControl()
				if sent++; sent > 1 {
					return nil, nil, false
				}
				c.pulse.OnBrokerRead(kgo.BrokerMetadata{}, int16(kmsg.Heartbeat), 0, 0, 0, late.err) // whose connection it was, too
				return nil, errors.New("the connection is closed"), true
			})
			err := c.Commit(t.Context(), commits(marks, "n"))
			if once := late.sent == 1; sent != late.sent || errors.Is(err, errLate) != once || !once && err != nil {
				t.Errorf("sent %d times, error %v", sent, err)
			}
		})
	}
}

// A proxy takes connections to a broker that is dead, and closes them.
func TestAConnectionThatIsClosedAtOnceIsTriedAgain(t *testing.T) {
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096)) // else the end would be a reset, which franz-go does not take for a refusal
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = proxy.Close(); <-ended })
	for _, delivery := range []string{"at least once", "exactly once"} {
		t.Run(delivery, func(t *testing.T) {
			r := newRig(t)
			if delivery == "exactly once" {
				r.transactional(t)
			}
			var mu sync.Mutex
			dead, closed := false, 0
			var open []net.Conn
			r.cluster.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				if dead {
					closed++
					addr = proxy.Addr().String()
				}
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				open = append(open, c)
				return c, err
			}
			r.feed(t, 0, 4)
			c := r.dial(t)
			rs, marks := poll(t, c, 4)
			c.Write(outputs(rs))
			if _, err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			dead = true
			for _, c := range open {
				_ = c.Close()
			}
			mu.Unlock()
			outcome := make(chan error, 1)
			go func() { outcome <- c.Commit(t.Context(), commits(marks, "n")) }()
			until(t, "the commit has met closed connections", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return closed > 20
			})
			mu.Lock()
			dead = false
			mu.Unlock()
			if err := <-outcome; err != nil {
				t.Errorf("the commit failed: %v", err)
			}
		})
	}
}

func TestARefusedConnectionIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	plain, patient := (&Cluster{}).dialer(), (&Cluster{}).patiently()
	_, before := plain(t.Context(), "tcp", addr)
	_, after := patient(t.Context(), "tcp", addr)
	var op *net.OpError
	if !errors.As(after, &op) || op.Op != "dial" || !op.Timeout() || !errors.Is(after, syscall.ECONNREFUSED) {
		t.Errorf("got %#v, want a dial that may succeed later", after)
	}
	if after.Error() != before.Error() || !strings.Contains(after.Error(), "connection refused") {
		t.Errorf("it says %q instead of %q", after, before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patient(ctx, "tcp", addr); !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v, want what was asked for", err)
	}
}

func TestTheGroupWaitsNoLongerThanASessionForWhoDoesNotJoin(t *testing.T) {
	for session, want := range map[time.Duration]time.Duration{
		time.Second: 2 * revokeWait, 6 * time.Second: 6 * time.Second, 8 * time.Second: 8 * time.Second, 45 * time.Second: rebalanceMax,
	} {
		if got := rebalanceTimeout(session); got != want {
			t.Errorf("with a session of %v it waits %v, want %v", session, got, want)
		}
	}
}
