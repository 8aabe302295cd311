package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer is how connections to the cluster are made.
func (c *Cluster) dialer() dialFunc {
	dialer := &net.Dialer{Timeout: dialPatience}
	switch {
	case c.Dial != nil:
		return c.Dial
	case c.TLS != nil:
		return (&tls.Dialer{NetDialer: dialer, Config: c.TLS}).DialContext
	}
	return dialer.DialContext
}

// lasting are the options of a client that has to live through the death of brokers. A connection that is closed as soon as it is
// made may be that of a proxy whose broker is dead; franz-go takes it for one that wants TLS or a password, which Check finds
// out before anything runs.
func (c *Cluster) lasting(log *slog.Logger) []kgo.Opt {
	return append(c.options(log), kgo.Dialer(c.patiently()), kgo.AlwaysRetryEOF())
}

// patiently is for a member of a group: that a broker refuses it may mean that the broker is dead and not replaced yet.
// franz-go gives up a request whose search for the coordinator is refused twice in a row, and with a heartbeat the
// membership; what timed out it tries again.
func (c *Cluster) patiently() dialFunc {
	dial := c.dialer()
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if op := (*net.OpError)(nil); errors.As(err, &op) && errors.Is(err, syscall.ECONNREFUSED) {
			passing := *op
			passing.Err = &os.SyscallError{Syscall: "connect", Err: refused{}}
			return nil, &passing
		}
		return conn, err
	}
}

// refused is a connection that was refused, as one that may be accepted later.
type refused struct{}

func (refused) Error() string   { return syscall.ECONNREFUSED.Error() }
func (refused) Unwrap() error   { return syscall.ECONNREFUSED }
func (refused) Timeout() bool   { return true }
func (refused) Temporary() bool { return true }
