package kafka

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pulse keeps when the group and the fetches last answered (guard G2), by the boot clock, which goes on while the process
// or the machine is stopped. A heartbeat counts from when it was asked: its answer may have lain unread for long, while the
// process was stopped. Safe for concurrent use; hooks of the client feed it.
type pulse struct {
	group, fetch, asked atomic.Int64
	late                atomic.Pointer[func()] // called when an answer does not come in time; nil: nobody waits for one
}

var (
	_ kgo.HookBrokerRead  = (*pulse)(nil)
	_ kgo.HookBrokerWrite = (*pulse)(nil)
)

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (p *pulse) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, took time.Duration, err error) {
	p.doubt(err)
	if k := kmsg.Key(key); k == kmsg.Heartbeat || k == kmsg.ConsumerGroupHeartbeat {
		p.asked.Store(bootNanos() - int64(took))
	}
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (p *pulse) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil {
		p.doubt(err)
		return
	}
	switch kmsg.Key(key) {
	case kmsg.Heartbeat, kmsg.ConsumerGroupHeartbeat:
		p.group.Store(p.asked.Load())
	case kmsg.JoinGroup, kmsg.SyncGroup: // asked long ago, perhaps: the session begins with the answer
		p.beat()
	case kmsg.Fetch:
		p.fetch.Store(bootNanos())
	}
}

// doubt is for a request that was given up: it, and those behind it on its connection, may arrive yet.
func (p *pulse) doubt(err error) {
	if late := p.late.Load(); late != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		(*late)()
	}
}

func (p *pulse) beat()                     { p.group.Store(bootNanos()) }
func (p *pulse) silence() time.Duration    { return time.Duration(bootNanos() - p.group.Load()) }
func (p *pulse) sinceFetch() time.Duration { return time.Duration(bootNanos() - p.fetch.Load()) }
