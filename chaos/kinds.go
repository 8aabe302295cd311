package chaos

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
)

// Kind is a scenario that the command knows by name.
type Kind struct {
	Name, What string
	Make       func(seed uint64, scale float64) Scenario
}

// Kinds are all of them, in the order in which they run: those with three brokers, which run beside one other, and else the longest first. At scale 1, all of them together are what the goals ask for.
var Kinds = []Kind{
	{"brokers", "three brokers: SIGKILL, restart, SIGSTOP, leaders move, partitions added and written to; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("brokers", seed, 2_500_000, 3500, scale)
		s.Instances, s.Brokers, s.Load.Grown = 2, 3, s.Load.IDs/2
		return s.with(scale, Times(22, KillBroker()), Times(2, RestartBroker()), Times(3, FreezeBroker()), Times(4, MoveLeaders()), Times(6, Kill())).
			at(beforeGrown, AddPartitions())
	}},
	{"kill", "SIGKILL 90 times, while instances come and go, 1 to 3 to 1", func(seed uint64, scale float64) Scenario {
		return Kills(seed, scaled(5_200_000, scale), 6000, int(scaled(90, scale)))
	}},
	{"storm", "all of it, with two pipelines in three instances", func(seed uint64, scale float64) Scenario {
		s := plain("storm", seed, 900_000, 2000, scale)
		s.Instances, s.Brokers, s.Pipelines, s.Proxied, s.Load.Poisoned = 3, 3, 2, true, 1000
		return s.with(scale, Times(8, Kill()), Times(2, Freeze(9*time.Second, 15*time.Second)), Times(1, Restart()), Times(3, KillRedis()),
			Times(3, RollBackRedis()), Times(1, FlushRedis()), Times(1, FillRedis()), Times(1, FillDiskOfRedis()), Times(4, KillBroker()), Times(2, MoveLeaders()),
			Times(1, Cut(toRedis)), Times(1, Cut(toKafka)), Times(1, Silence(toKafka)), Times(2, Reload()), Times(1, FillDiskOfLog()))
	}},
	{"freeze", "SIGSTOP for 9 to 20 s, at times of two, and for 60 s, of four instances", func(seed uint64, scale float64) Scenario {
		s := plain("freeze", seed, 4_600_000, 6000, scale)
		s.Instances = 4
		return s.with(scale, Times(14, Freeze(9*time.Second, 18*time.Second)), Times(16, FreezeTwo(9*time.Second, 16*time.Second)), Times(4, Freeze(60*time.Second, 0)))
	}},
	{"redis", "Redis, written down each second: SIGKILL, rollback, FLUSHALL, SIGSTOP, OOM, READONLY, disk full; and kills", func(seed uint64, scale float64) Scenario {
		return redisTrouble("redis", seed, scale, "everysec", 38, 14)
	}},
	{"kill-dense", "SIGKILL 60 times, so often that the group hardly settles, of one of three instances", func(seed uint64, scale float64) Scenario {
		s := plain("kill-dense", seed, 1_300_000, 6000, scale)
		s.Instances, s.Dense = 3, true
		return s.with(scale, Times(60, Kill()))
	}},
	{"redis-always", "the same with Redis written down each time", func(seed uint64, scale float64) Scenario {
		return redisTrouble("redis-always", seed, scale, "always", 14, 6)
	}},
	{"network", "connections to Kafka and Redis cut, slow and silent; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("network", seed, 1_200_000, 6000, scale)
		s.Instances, s.Proxied = 2, true
		return s.with(scale, Times(4, Cut(toRedis)), Times(4, Cut(toKafka)), Times(3, Slow(toRedis, 50*time.Millisecond)),
			Times(3, Slow(toKafka, 50*time.Millisecond)), Times(3, Silence(toRedis)), Times(3, Silence(toKafka)), Times(4, Kill()))
	}},
	{"cold", "20,000 keys, which hide no lost state: FLUSHALL, restarts, kills", func(seed uint64, scale float64) Scenario {
		s := plain("cold", seed, 1_000_000, 6000, scale)
		s.Load.Keys, s.Instances = 20_000, 2
		return s.with(scale, Times(8, FlushRedis()), Times(8, Restart()), Times(10, Kill()))
	}},
	{"poison", "a plugin that traps on one record in 500, and is built anew; kills, and a log without space", func(seed uint64, scale float64) Scenario {
		s := plain("poison", seed, 900_000, 6000, scale)
		s.Load.Poisoned, s.Instances = 500, 2
		return s.with(scale, Times(12, Kill()), Times(8, Reload()), Times(2, FillDiskOfLog()))
	}},
	{"failover", "a replica without the last writes takes the place of Redis; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("failover", seed, 700_000, 6000, scale)
		s.Instances, s.Proxied, s.Spare = 2, true, true
		return s.with(scale, Times(12, FailOver()), Times(4, Kill()))
	}},
	{"anew", "the input is deleted and made anew under its name; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("anew", seed, 300_000, 6000, scale)
		s.Instances, s.Load.Anew, s.Load.Grown = 2, true, s.Load.IDs/2
		return s.with(scale, Times(6, Kill())).at(justBeforeGrown, MakeTopicsAnew())
	}},
	{"global", "copies and keys lie in any partition (scope: global), partitions are added and written to; kills, Redis", func(seed uint64, scale float64) Scenario {
		s := plain("global", seed, 500_000, 3000, scale)
		s.Instances, s.Load.Scattered, s.Load.Grown = 2, true, s.Load.IDs/2
		return s.with(scale, Times(10, Kill()), Times(2, KillRedis()), Times(2, RollBackRedis()), Times(1, FlushRedis()), Times(1, Freeze(9*time.Second, 15*time.Second))).
			at(beforeGrown, AddPartitions())
	}},
}

// Kills is the first promise: a process killed again and again while instances come and go, one to three to one.
func Kills(seed uint64, ids int64, rate, kills int) Scenario {
	s := plain("kill", seed, ids, rate, 1).with(1, Times(kills, Kill()))
	return s.at(0.28, Join()).at(0.34, Join()).at(0.66, Leave()).at(0.72, Leave())
}

// beforeGrown is when partitions are added that a load writes to from its middle on, long enough before for faults that take longer.
const beforeGrown = 0.2

// justBeforeGrown is when a fault begins to wait for the middle of a load.
const justBeforeGrown = 0.45

// plain is a scenario in which nothing breaks yet.
func plain(name string, seed uint64, ids int64, rate int, scale float64) Scenario {
	return Scenario{Name: name, Rate: rate, scale: scale,
		Load: load.Load{Seed: seed, IDs: scaled(ids, scale), Keys: 2000, Duplicates: 0.05, Disorder: 0.05, Dropped: 100}}
}

func redisTrouble(name string, seed uint64, scale float64, fsync string, kills, rollbacks int) Scenario {
	s := plain(name, seed, int64(kills)*72_000, 6000, scale)
	s.Instances, s.RedisArgs = 2, []string{"--appendfsync", fsync}
	return s.with(scale, Times(kills, KillRedis()), Times(rollbacks, RollBackRedis()), Times(4, FlushRedis()), Times(3, FreezeRedis()), Times(3, FillRedis()),
		Times(3, DemoteRedis()), Times(3, FillDiskOfRedis()), Times(8, Kill()))
}

// with plans a share of each kind of fault, in random order.
func (s Scenario) with(scale float64, kinds ...[]Fault) Scenario {
	var all []Fault
	for _, k := range kinds {
		all = append(all, k[:min(len(k), int(scaled(int64(len(k)), scale)))]...)
	}
	s.Plan = func(rng *rand.Rand) []Event { return Spread(rng, slices.Clone(all)...) }
	return s
}

// at plans one more, at its place in the load.
func (s Scenario) at(share float64, f Fault) Scenario {
	before := s.Plan
	s.Plan = func(rng *rand.Rand) []Event { return append(before(rng), Event{At: share, Fault: f}) }
	return s
}

// scaled is a share of n, and at least 1.
func scaled(n int64, scale float64) int64 { return max(1, int64(float64(n)*scale)) }
