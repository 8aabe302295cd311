package kafka

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pulse keeps when the group and the fetches last answered (guard G2), by the boot clock, which goes on while the process
// or the machine is stopped. Safe for concurrent use; a hook of the client feeds it.
type pulse struct{ group, fetch atomic.Int64 }

var _ kgo.HookBrokerRead = (*pulse)(nil)

// OnBrokerRead implements kgo.HookBrokerRead.
func (p *pulse) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil {
		return
	}
	switch kmsg.Key(key) {
	case kmsg.Heartbeat, kmsg.ConsumerGroupHeartbeat, kmsg.JoinGroup, kmsg.SyncGroup:
		p.beat()
	case kmsg.Fetch:
		p.fetch.Store(bootNanos())
	}
}

func (p *pulse) beat()                     { p.group.Store(bootNanos()) }
func (p *pulse) silence() time.Duration    { return time.Duration(bootNanos() - p.group.Load()) }
func (p *pulse) sinceFetch() time.Duration { return time.Duration(bootNanos() - p.fetch.Load()) }
