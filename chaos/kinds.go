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

// Kinds are all of them, in the order in which they run. Each takes up to five minutes at scale 1.
var Kinds = []Kind{
	{"kill", "SIGKILL 20 times over a million ids, while instances come and go, 1 to 3 to 1", func(seed uint64, scale float64) Scenario {
		return Kills(seed, scaled(1_000_000, scale), 5000, int(scaled(20, scale)))
	}},
	{"kill-dense", "SIGKILL 40 times, so often that the group hardly settles, of one of three instances", func(seed uint64, scale float64) Scenario {
		s := plain("kill-dense", seed, 800_000, 4000, scale)
		s.Instances = 3
		return s.with(scale, Times(40, Kill()))
	}},
	{"freeze", "SIGSTOP for 9 to 20 s, and once for 60 s, of one of three instances", func(seed uint64, scale float64) Scenario {
		s := plain("freeze", seed, 1_000_000, 4500, scale)
		s.Instances = 3
		return s.with(scale, Times(10, Freeze(9*time.Second, 20*time.Second)), Times(1, Freeze(60*time.Second, 0)))
	}},
	{"cold", "20,000 keys, which hide no lost state: FLUSHALL, restarts, kills", func(seed uint64, scale float64) Scenario {
		s := plain("cold", seed, 1_000_000, 5000, scale)
		s.Load.Keys, s.Instances = 20_000, 2
		return s.with(scale, Times(8, FlushRedis()), Times(8, Restart()), Times(6, Kill()))
	}},
	{"poison", "a plugin that traps on one record in 500, and kills", func(seed uint64, scale float64) Scenario {
		s := plain("poison", seed, 500_000, 5000, scale)
		s.Load.Poisoned, s.Instances = 500, 2
		return s.with(scale, Times(6, Kill()))
	}},
	{"redis", "Redis, written down each second: SIGKILL, rollback, FLUSHALL, SIGSTOP, OOM, READONLY; and kills", func(seed uint64, scale float64) Scenario {
		return redisTrouble("redis", seed, scale, "everysec")
	}},
	{"redis-always", "the same with Redis written down each time", func(seed uint64, scale float64) Scenario {
		return redisTrouble("redis-always", seed, scale, "always")
	}},
	{"network", "connections to Kafka and Redis cut, slow and silent; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("network", seed, 1_000_000, 4500, scale)
		s.Instances, s.Proxied = 2, true
		return s.with(scale, Times(4, Cut(toRedis)), Times(4, Cut(toKafka)), Times(3, Slow(toRedis, 50*time.Millisecond)),
			Times(3, Slow(toKafka, 50*time.Millisecond)), Times(3, Silence(toRedis)), Times(3, Silence(toKafka)), Times(3, Kill()))
	}},
	{"brokers", "three brokers: SIGKILL, restart, SIGSTOP, leaders move, partitions added; and kills", func(seed uint64, scale float64) Scenario {
		s := plain("brokers", seed, 700_000, 3000, scale)
		s.Instances, s.Brokers = 2, 3
		return s.with(scale, Times(6, KillBroker()), Times(2, RestartBroker()), Times(3, FreezeBroker()), Times(3, MoveLeaders()),
			Times(1, AddPartitions()), Times(3, Kill()))
	}},
	{"storm", "all of it, with two pipelines in three instances", func(seed uint64, scale float64) Scenario {
		s := plain("storm", seed, 400_000, 1500, scale)
		s.Instances, s.Brokers, s.Pipelines, s.Proxied, s.Load.Poisoned = 3, 3, 2, true, 1000
		return s.with(scale, Times(5, Kill()), Times(2, Freeze(9*time.Second, 15*time.Second)), Times(1, Restart()), Times(2, KillRedis()),
			Times(3, RollBackRedis()), Times(1, FlushRedis()), Times(1, FillRedis()), Times(3, KillBroker()), Times(2, MoveLeaders()),
			Times(1, Cut(toRedis)), Times(1, Cut(toKafka)), Times(1, Silence(toKafka)))
	}},
}

// Kills is the first promise: a process killed again and again while instances come and go, one to three to one.
func Kills(seed uint64, ids int64, rate, kills int) Scenario {
	s := plain("kill", seed, ids, rate, 1)
	s.Plan = func(rng *rand.Rand) []Event {
		return append(Spread(rng, Times(kills, Kill())...),
			Event{At: 0.28, Fault: Join()}, Event{At: 0.34, Fault: Join()},
			Event{At: 0.66, Fault: Leave()}, Event{At: 0.72, Fault: Leave()})
	}
	return s
}

// plain is a scenario in which nothing breaks yet.
func plain(name string, seed uint64, ids int64, rate int, scale float64) Scenario {
	return Scenario{Name: name, Rate: rate,
		Load: load.Load{Seed: seed, IDs: scaled(ids, scale), Keys: 2000, Duplicates: 0.05, Disorder: 0.05, Dropped: 100}}
}

func redisTrouble(name string, seed uint64, scale float64, fsync string) Scenario {
	s := plain(name, seed, 1_000_000, 4500, scale)
	s.Instances, s.RedisArgs = 2, []string{"--appendfsync", fsync}
	return s.with(scale, Times(6, KillRedis()), Times(6, RollBackRedis()), Times(2, FlushRedis()), Times(2, FreezeRedis()), Times(2, FillRedis()),
		Times(2, DemoteRedis()), Times(4, Kill()))
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

// scaled is a share of n, and at least 1.
func scaled(n int64, scale float64) int64 { return max(1, int64(float64(n)*scale)) }
