package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KillBroker ends a broker with SIGKILL, and starts it again.
func KillBroker() Fault {
	return Fault{Name: "broker SIGKILL", Sudden: true, UpTo: 5 * time.Second, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		victim := rng.IntN(len(r.Brokers))
		r.Kafka.Kill(victim)
		return func(ctx context.Context) error { return r.bringBack(ctx, victim) }, nil
	}}
}

// RestartBroker ends a broker in order, and starts it again.
func RestartBroker() Fault {
	return Fault{Name: "broker restart", Sudden: true, Break: func(ctx context.Context, r *rig, rng *rand.Rand) (mend, error) {
		victim := rng.IntN(len(r.Brokers))
		ctx, cancel := context.WithTimeout(ctx, brokerLimit)
		defer cancel()
		if err := r.Kafka.Shutdown(ctx, victim); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return r.bringBack(ctx, victim) }, nil
	}}
}

// FreezeBroker stops a broker with SIGSTOP until the others have given it up.
func FreezeBroker() Fault {
	return Fault{Name: "broker SIGSTOP", Lasts: 3 * time.Second, UpTo: 20 * time.Second, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		victim := rng.IntN(len(r.Brokers))
		r.Kafka.Signal(victim, syscall.SIGSTOP)
		return func(ctx context.Context) error {
			r.Kafka.Signal(victim, syscall.SIGCONT)
			return r.replicated(ctx)
		}, nil
	}}
}

// MoveLeaders gives every partition, those of the group and of the transactions among them, another leader.
func MoveLeaders() Fault {
	return Fault{Name: "leaders move", Sudden: true, Break: func(ctx context.Context, r *rig, rng *rand.Rand) (mend, error) {
		return nil, r.admin(func(admin *kadm.Client) error { return moveLeaders(ctx, admin, rng) })
	}}
}

// AddPartitions adds some to the inputs: the group has to share them out, and what the load has for them is written there.
func AddPartitions() Fault {
	return Fault{Name: "partitions added", Planned: true, Break: func(ctx context.Context, r *rig, _ *rand.Rand) (mend, error) {
		err := r.admin(func(admin *kadm.Client) error {
			for _, l := range r.lanes {
				made, err := admin.CreatePartitions(ctx, load.Added, l.in)
				if err == nil {
					err = made.Error()
				}
				if err != nil {
					return fmt.Errorf("adding partitions: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := r.replicated(ctx); err != nil {
			return nil, err
		}
		for _, l := range r.lanes {
			close(l.added)
		}
		return nil, nil
	}}
}

// MakeTopicsAnew deletes the inputs, once all of them is committed, and makes them anew under their names.
func MakeTopicsAnew() Fault {
	return Fault{Name: "topic made anew", Planned: true, Break: func(ctx context.Context, r *rig, _ *rand.Rand) (mend, error) {
		ctx, cancel := context.WithTimeout(ctx, brokerLimit)
		defer cancel()
		err := r.admin(func(admin *kadm.Client) error {
			for _, l := range r.lanes {
				if err := until(ctx, func() error { return l.done(ctx, admin) }); err != nil {
					return err
				}
				gone, err := admin.DeleteTopics(ctx, l.in)
				if err == nil {
					err = gone.Error()
				}
				if err != nil {
					return fmt.Errorf("deleting topic %s: %w", l.in, err)
				}
				if err := until(ctx, func() error { return create(ctx, admin, len(r.Brokers), l.in) }); err != nil {
					return err
				}
				close(l.added)
			}
			return nil
		})
		return nil, err
	}}
}

// done says why not all that is to be written before a change of the input has been written and committed.
func (l *lane) done(ctx context.Context, admin *kadm.Client) error {
	if !l.waits.Load() {
		return errors.New("the load has not come to the change of its topic yet")
	}
	n, err := l.lag(ctx, admin)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d records of %s are not committed yet", n, l.in)
	}
	return err
}

// until asks again and again until there is no error.
func until(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// brokerLimit is for a broker to come or go on a busy machine.
const brokerLimit = 2 * time.Minute

// bringBack starts a broker and waits until it has all that it missed: two of three must never be behind at once.
func (r *rig) bringBack(ctx context.Context, broker int) error {
	ctx, cancel := context.WithTimeout(ctx, brokerLimit)
	defer cancel()
	if err := r.Kafka.Restart(ctx, broker); err != nil {
		return err
	}
	return r.replicated(ctx)
}

// replicated waits until every replica of every partition is in sync.
func (r *rig) replicated(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, brokerLimit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		behind := -1
		err := r.admin(func(admin *kadm.Client) error {
			topics, err := admin.ListTopicsWithInternal(ctx)
			if err != nil {
				return err
			}
			behind = 0
			topics.EachPartition(func(p kadm.PartitionDetail) {
				if len(p.ISR) < len(p.Replicas) || p.Leader < 0 {
					behind++
				}
			})
			return nil
		})
		if err == nil && behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until the brokers have the same (%d partitions are behind): %w: %w", behind, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// admin makes a client for one use: a client that lives through broker faults may hold on to what is gone.
func (r *rig) admin(use func(*kadm.Client) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers...))
	if err != nil {
		return fmt.Errorf("making a client of Kafka: %w", err)
	}
	defer cl.Close()
	return use(kadm.NewClient(cl))
}

// moveLeaders puts another replica first in every partition, and has it elected.
func moveLeaders(ctx context.Context, admin *kadm.Client, rng *rand.Rand) error {
	topics, err := admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	var assign kadm.AlterPartitionAssignmentsReq
	var elect kadm.TopicsSet
	topics.EachPartition(func(p kadm.PartitionDetail) {
		others := slices.DeleteFunc(slices.Clone(p.Replicas), func(b int32) bool { return b == p.Leader })
		if len(others) == 0 {
			return
		}
		rng.Shuffle(len(others), func(i, k int) { others[i], others[k] = others[k], others[i] })
		assign.Assign(p.Topic, p.Partition, append(others, p.Leader))
		elect.Add(p.Topic, p.Partition)
	})
	altered, err := admin.AlterPartitionAssignments(ctx, assign)
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		return fmt.Errorf("putting other replicas first: %w", err)
	}
	if _, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, elect); err != nil {
		return fmt.Errorf("electing other leaders: %w", err)
	}
	return nil
}
