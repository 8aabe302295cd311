package sim

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// silence is after how long without a word a member is put out. It is far beyond the session timeout, and beyond the
// rebalance timeout, for which a member may wait for its JoinGroup to be answered.
const silence = 20 * time.Second

// patience is how long a group may wait for its members to join. A broker waits for a rebalance timeout, of at most 10 s.
const patience = 12 * time.Second

// janitor does what a broker does by itself, and kfake does not. It puts members out of a group that say nothing any more:
// kfake forgets a member that died while its JoinGroup waited, and its partitions would stand still for ever. And it ends a
// rebalance that waits too long: kfake begins to wait anew with each member that joins, so that members that give up and
// join again in turn, sooner than the rebalance timeout, would keep each other waiting for ever.
type janitor struct {
	w       *world
	group   string
	mu      sync.Mutex
	heard   map[string]time.Time // by member
	epoch   int32                // in which the group waits for its members
	waiting time.Time            // since then; zero while it does not
	shut    bool                 // who joins now is told to try again
}

func newJanitor(w *world, group string) *janitor {
	j := &janitor{w: w, group: group, heard: map[string]time.Time{}}
	w.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup, kmsg.SyncGroup}, Group: group, Count: -1, Observe: true, When: j.listen})
	w.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Group: group, Count: -1, Err: kerr.CoordinatorLoadInProgress, TopLevel: true,
		When: func(kmsg.Request) bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.shut
		}})
	return j
}

// listen is called with every request of a member, on kfake's goroutine.
func (j *janitor) listen(r kmsg.Request) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch r := r.(type) {
	case *kmsg.HeartbeatRequest:
		j.heard[r.MemberID] = time.Now()
	case *kmsg.JoinGroupRequest:
		j.heard[r.MemberID] = time.Now()
	case *kmsg.SyncGroupRequest:
		j.heard[r.MemberID] = time.Now()
	}
	return false
}

func (j *janitor) run(ctx context.Context) error {
	cl, err := j.w.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(silence / 10):
		}
		info := j.w.kafka.GroupInfo(j.group)
		if info == nil {
			continue
		}
		j.look(info)
		for _, m := range info.Members {
			if j.silent(m.MemberID) {
				j.putOut(ctx, cl, m.MemberID)
			}
		}
	}
}

// look shuts the door of a group that has waited too long, until it waits no more.
func (j *janitor) look(info *kfake.GroupInfo) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case info.State != "PreparingRebalance":
		j.waiting, j.shut = time.Time{}, false
	case j.waiting.IsZero() || info.Epoch != j.epoch:
		j.waiting, j.epoch, j.shut = time.Now(), info.Epoch, false
	case !j.shut && time.Since(j.waiting) > patience:
		j.w.trace.add("janitor", "group %s has waited for its members since %v ago: nobody else joins now", j.group, time.Since(j.waiting))
		j.shut = true
	}
}

func (j *janitor) silent(member string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.heard[member]; !known {
		j.heard[member] = time.Now()
	}
	return time.Since(j.heard[member]) > silence
}

func (j *janitor) putOut(ctx context.Context, cl *kgo.Client, member string) {
	j.w.trace.add("janitor", "puts %s out", member)
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = j.group
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	q.MemberID, q.Members = member, append(q.Members, m)
	_, err := q.RequestWith(ctx, cl)
	if err != nil {
		j.w.trace.add("janitor", "cannot: %v", err)
	}
}
