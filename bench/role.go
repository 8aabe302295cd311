package bench

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/bench/floor"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Role is what a process started by the bench does: "broker" or "floor BROKER GROUP IN OUT". It returns after TERM.
func Role(ctx context.Context, args []string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch {
	case len(args) == 1 && args[0] == "broker":
		return runBroker(ctx)
	case len(args) == 5 && args[0] == "floor":
		return floor.Run(ctx, floor.Options{Broker: args[1], Group: args[2], In: args[3], Out: args[4], CommitInterval: commitInterval})
	}
	return fmt.Errorf("unknown role %q", args)
}

// runBroker is kfake on a free port, which it prints.
func runBroker(ctx context.Context) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		return fmt.Errorf("starting kfake: %w", err)
	}
	defer c.Close()
	fmt.Println(c.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
