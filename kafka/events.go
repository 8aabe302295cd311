package kafka

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Events are told what the clients of a cluster live through, once for a request or connection; each func may be nil.
// They are called from the client's goroutines, several at a time, and must not block.
type Events struct {
	Request   func(name string, took time.Duration, err error) // an answer was read, or not
	Connect   func(err error)                                  // a broker was dialled
	Throttled func(wait time.Duration)                         // a broker asks us to wait
}

// hooks hears for Events.
type hooks struct{ Events }

var (
	_ kgo.HookBrokerE2E      = hooks{}
	_ kgo.HookBrokerConnect  = hooks{}
	_ kgo.HookBrokerThrottle = hooks{}
)

// OnBrokerE2E implements kgo.HookBrokerE2E. A request that we ourselves gave up is nobody's error.
func (h hooks) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	err := e.Err()
	if h.Request != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
		h.Request(kmsg.NameForKey(key), e.DurationE2E(), err)
	}
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h hooks) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if h.Connect != nil && !errors.Is(err, context.Canceled) {
		h.Connect(err)
	}
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (h hooks) OnBrokerThrottle(_ kgo.BrokerMetadata, wait time.Duration, _ bool) {
	if h.Throttled != nil {
		h.Throttled(wait)
	}
}
