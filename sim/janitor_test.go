//go:build synctests

package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMembersThatGiveUpInTurnDoNotHoldTheGroupForEver has one member that does not join again, and others that join one
// after another, each before the rebalance times out.
func TestMembersThatGiveUpInTurnDoNotHoldTheGroupForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(0, map[string]int32{inTopic: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		j := newJanitor(w, "g")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			if err := j.run(ctx); err != nil {
				t.Error(err)
			}
		}()
		first := <-join(ctx, t, w, true)
		for began := time.Now(); w.kafka.GroupInfo("g").Epoch == first.Generation; <-time.After(rebalances / 2) {
			if time.Since(began) > 3*patience {
				t.Fatal("the group still waits")
			}
			j.listen(&kmsg.HeartbeatRequest{Group: "g", MemberID: first.MemberID}) // it is alive, and does not join again
			join(ctx, t, w, false)
		}
	})
}

const rebalances = 6 * time.Second

// join has a new member join, and take its place if it is to sync, and hands out what it was answered.
func join(ctx context.Context, t *testing.T, w *world, sync bool) <-chan *kmsg.JoinGroupResponse {
	cl, err := w.client(kgo.RetryTimeout(rebalances))
	if err != nil {
		t.Fatal(err)
	}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.ProtocolType = "g", "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = int32((5 * time.Minute).Milliseconds()), int32(rebalances.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	q.Protocols = append(q.Protocols, p)
	answer := make(chan *kmsg.JoinGroupResponse, 1)
	go func() {
		defer cl.Close()
		resp, err := q.RequestWith(ctx, cl)
		if err == nil && resp.MemberID != "" { // it is told its name, and joins under it
			q.MemberID = resp.MemberID
			resp, err = q.RequestWith(ctx, cl)
		}
		if err == nil && sync {
			s := kmsg.NewPtrSyncGroupRequest()
			s.Group, s.MemberID, s.Generation = "g", resp.MemberID, resp.Generation
			_, err = s.RequestWith(ctx, cl)
		}
		if err == nil {
			answer <- resp
		}
	}()
	return answer
}
