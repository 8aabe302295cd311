package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// storm strikes Kafka and Redis themselves, as chance says, until ctx ends.
type storm struct {
	w      *world
	r      *rand.Rand
	saved  []content
	resume func() // ends the fault that lasts
}

// gale is one kind of fault.
type gale struct {
	name    string
	weight  int
	strike  func(*storm, context.Context) error
	forgets bool // Redis loses something
}

// weather are the faults and how often they come.
var weather = []gale{
	{name: "snapshot", weight: 8, strike: (*storm).snapshot},
	{name: "rollback", weight: 6, strike: (*storm).rollback, forgets: true},
	{name: "flush", weight: 4, strike: (*storm).flush, forgets: true},
	{name: "redis away", weight: 4, strike: (*storm).away},
	{name: "redis refuses", weight: 4, strike: (*storm).refuses},
	{name: "kafka error", weight: 16, strike: (*storm).kafkaError},
	{name: "rebalance", weight: 8, strike: (*storm).rebalance},
}

const stormEvery = 20 * time.Second // on average

func (s *storm) run(ctx context.Context) error {
	defer s.end()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(s.r.Int64N(int64(2 * stormEvery)))):
		}
		s.end()
		k := pick(s.r, weather, s.weight)
		s.w.trace.add("storm", "FAULT %s", k.name)
		s.w.tally.storm(k.name)
		s.w.trouble(0)
		if err := k.strike(s, ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// weight is how often a fault comes in this mood.
func (s *storm) weight(g gale) int {
	if s.w.plan.mood == faithful && g.forgets {
		return 0
	}
	return g.weight
}

func (s *storm) end() {
	if s.resume != nil {
		s.resume()
		s.resume = nil
		s.w.trouble(0)
		s.w.trace.add("storm", "it is over")
	}
}

func (s *storm) snapshot(ctx context.Context) error {
	c, err := s.w.redis.Load().snapshot(ctx)
	s.saved = append(s.saved, c)
	return err
}

// rollback restarts Redis from what it held at an earlier time, mostly a short while ago.
func (s *storm) rollback(ctx context.Context) error {
	if len(s.saved) == 0 || s.r.IntN(2) == 0 {
		c, err := s.w.redis.Load().snapshot(ctx)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(s.r.IntN(2500)) * time.Millisecond): // as with appendfsync everysec
		}
		s.w.restart(c)
		return nil
	}
	s.w.restart(s.saved[s.r.IntN(len(s.saved))])
	return nil
}

func (s *storm) flush(context.Context) error {
	s.w.redis.Load().m.FlushAll()
	return nil
}

// away lets nobody reach Redis until the next fault.
func (s *storm) away(context.Context) error {
	r := s.w.redis.Load()
	r.cut(true)
	s.resume = r.back
	return nil
}

func (s *storm) refuses(context.Context) error {
	r := s.w.redis.Load()
	r.m.SetError([]string{"LOADING Redis is loading the dataset in memory", "OOM command not allowed when used memory > 'maxmemory'.",
		"READONLY You can't write against a read only replica.", "MISCONF Errors writing to the AOF file"}[s.r.IntN(4)])
	s.resume = func() { r.m.SetError("") }
	return nil
}

// kafkaErrors are answers of brokers, to whom they are given.
var kafkaErrors = []kfake.Fault{
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.NotCoordinator},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorLoadInProgress},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RequestTimedOut},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.UnknownMemberID},
	{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.IllegalGeneration, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.UnknownMemberID, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.NotCoordinator, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.RebalanceInProgress, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.UnknownMemberID, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.CoordinatorLoadInProgress},
	{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnstableOffsetCommit},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut},
	{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition},
	{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress},
	{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RequestTimedOut},
	{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.IllegalGeneration},
	{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ConcurrentTransactions, TopLevel: true},
}

// kafkaError answers the next few requests of a kind with an error.
func (s *storm) kafkaError(context.Context) error {
	f := kafkaErrors[s.r.IntN(len(kafkaErrors))]
	f.Count = 1 + s.r.IntN(3)
	s.w.trace.add("storm", "the next %d answers to %s are %v", f.Count, f.Keys[0].Name(), f.Err.Message)
	h := s.w.kafka.Fault(f)
	s.resume = h.Remove
	return nil
}

// rebalance makes the members of the group join again.
func (s *storm) rebalance(context.Context) error {
	h := s.w.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.RebalanceInProgress, TopLevel: true, Count: 1 + s.r.IntN(2)})
	s.resume = h.Remove
	return nil
}
