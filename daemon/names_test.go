package daemon

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const shared = `version: 1
pipelines:
  two:
    commit_interval: 50ms
    source: { topics: [in] }
    sinks: { out: { topic: out } }
    dlq: { topic: dead }
`

// A process takes the place of one that had its name before. Where both live, by mistake, that disturbs the first one once:
// it comes back, and leaves the other where it is.
func TestTwoProcessesOfOneNameBothWork(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "in"), kfake.SeedTopics(1, "out", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var taken atomic.Int32
	cluster.ControlKey(int16(kmsg.LeaveGroup), func(q kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		for _, m := range q.(*kmsg.LeaveGroupRequest).Members {
			if m.Reason != nil && *m.Reason == "another has its name" {
				taken.Add(1)
			}
		}
		return nil, nil, false
	})
	one, other := twin(t, cluster), twin(t, cluster)
	one.run()
	one.feedUntil(cluster, one)
	other.run()
	one.feedUntil(cluster, one, other)
	if n := taken.Load(); n != 1 {
		t.Errorf("one took the other's place %d times, want once", n)
	}
}

func twin(t *testing.T, cluster *kfake.Cluster) *rig {
	r := &rig{T: t, ended: make(chan error, 1)}
	r.d = build(t, shared, map[string]string{"KAFKA_BROKERS": cluster.ListenAddrs()[0], "REDIS_ADDR": "127.0.0.1:1"})
	return r
}

// feedUntil writes records until each of the rigs has read some that were not there before.
func (r *rig) feedUntil(cluster *kfake.Cluster, rigs ...*rig) {
	r.Helper()
	in := func(of *rig) int64 { return of.status("two").Ledger.In }
	before := map[*rig]int64{}
	for _, of := range rigs {
		before[of] = in(of)
	}
	records := func(yield func(devstack.Record) bool) {
		for i := range 16 {
			if !yield(devstack.Record{Key: fmt.Append(nil, i), Value: []byte("{}")}) {
				return
			}
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); slices.ContainsFunc(rigs, func(of *rig) bool { return in(of) == before[of] }); {
		if _, err := devstack.Feed(r.Context(), cluster.ListenAddrs(), []string{"in"}, records, 0); err != nil {
			r.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-end:
			r.Fatal("one of them reads nothing")
		}
	}
}
