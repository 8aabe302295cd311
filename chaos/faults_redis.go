package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// KillRedis ends Redis with SIGKILL, and starts it again on what it had written down.
func KillRedis() Fault {
	return Fault{Name: "Redis SIGKILL", UpTo: 3 * time.Second, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		r.Redis.Kill()
		return r.Redis.Restart, nil
	}}
}

// rollbackBytes is how much of the log of Redis a rollback takes away at most: it is some ten thousand ids.
const rollbackBytes = 400_000

// RollBackRedis ends Redis with SIGKILL, and starts it again as it was a while before.
func RollBackRedis() Fault {
	return Fault{Name: "Redis rollback", UpTo: 3 * time.Second, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		r.Redis.Kill()
		if _, err := r.Redis.CutLog(1 + rng.Int64N(rollbackBytes)); err != nil {
			return nil, err
		}
		return r.Redis.Restart, nil
	}}
}

// FlushRedis makes Redis forget everything.
func FlushRedis() Fault {
	return Fault{Name: "FLUSHALL", Break: func(ctx context.Context, r *rig, _ *rand.Rand) (mend, error) {
		return nil, r.Redis.FlushAll(ctx)
	}}
}

// FreezeRedis stops Redis with SIGSTOP: connections stay, and nothing is answered.
func FreezeRedis() Fault {
	return Fault{Name: "Redis SIGSTOP", Lasts: 2 * time.Second, UpTo: 12 * time.Second, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		r.Redis.Signal(syscall.SIGSTOP)
		return func(context.Context) error { r.Redis.Signal(syscall.SIGCONT); return nil }, nil
	}}
}

// FillRedis lets Redis have no more memory: it answers, and refuses writes.
func FillRedis() Fault {
	return redisSetting("Redis OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")
}

// DemoteRedis makes Redis a replica of nobody that is there: it answers, and refuses writes.
func DemoteRedis() Fault {
	return redisSetting("Redis READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")
}

func redisSetting(name, on, off string) Fault {
	return Fault{Name: name, Lasts: time.Second, UpTo: 5 * time.Second, Break: func(ctx context.Context, r *rig, _ *rand.Rand) (mend, error) {
		if err := r.Redis.Expect(ctx, on, "+OK"); err != nil {
			return nil, fmt.Errorf("setting up %s: %w", name, err)
		}
		return func(ctx context.Context) error { return r.Redis.Expect(ctx, off, "+OK") }, nil
	}}
}

// FillDiskOfRedis has its disk full: it answers, and refuses writes as it cannot write them down; asked to write down each, it ends.
func FillDiskOfRedis() Fault {
	return Fault{Name: "Redis disk full", Lasts: 2 * time.Second, UpTo: 6 * time.Second, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		return r.Redis.FreeDisk, r.Redis.FillDisk()
	}}
}

// tailLasts is how long the replica lacks what is written, at most.
const tailLasts = 2 * time.Second

// FailOver ends Redis with SIGKILL and puts a replica in its place that lacks the last writes. What was the master is the spare
// of the next time.
func FailOver() Fault {
	return Fault{Name: "Redis failover without its tail", Sudden: true, UpTo: time.Second, Break: func(ctx context.Context, r *rig, rng *rand.Rand) (mend, error) {
		master, spare := r.Redis, r.Spare
		if err := spare.Follow(ctx, master); err != nil {
			return nil, err
		}
		if err := spare.Expect(ctx, "REPLICAOF 127.0.0.1 1", "+OK"); err != nil { // nobody: it keeps what it has
			return nil, err
		}
		if err := pause(ctx, time.Duration(rng.Int64N(int64(tailLasts)))); err != nil {
			return nil, err
		}
		master.Kill()
		if err := spare.Expect(ctx, "REPLICAOF NO ONE", "+OK"); err != nil {
			return nil, err
		}
		r.swap()
		r.RedisWay[0].Turn(spare.Addr())
		return master.Restart, nil
	}}
}
