package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/streamproc/streamproc/chaos/proxy"
)

// The ends of the ways that a fault can break.
const (
	toRedis = "Redis"
	toKafka = "Kafka"
)

// Cut ends all connections to Redis or Kafka, again and again.
func Cut(to string) Fault {
	return Fault{Name: to + " connections cut", Lasts: 100 * time.Millisecond, UpTo: 2 * time.Second, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		done, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for tick := time.NewTicker(cutEvery); ; {
				for _, p := range r.ways(to) {
					p.Cut()
				}
				select {
				case <-done:
					tick.Stop()
					return
				case <-tick.C:
				}
			}
		}()
		return func(context.Context) error { close(done); <-over; return nil }, nil
	}}
}

const cutEvery = 150 * time.Millisecond

// Slow delays all that goes to Redis or Kafka and comes from there.
func Slow(to string, by time.Duration) Fault {
	return Fault{Name: to + " slow by " + by.String(), Lasts: 2 * time.Second, UpTo: 6 * time.Second, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		each := func(d time.Duration) {
			for _, p := range r.ways(to) {
				p.Slow(d)
			}
		}
		each(by)
		return func(context.Context) error { each(0); return nil }, nil
	}}
}

// Silence keeps the connections to Redis or Kafka, and carries nothing: longer than the session lasts, at most.
func Silence(to string) Fault {
	return Fault{Name: to + " connections silent", Lasts: time.Second, UpTo: 2 * sessionTimeout, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		each := func(on bool) {
			for _, p := range r.ways(to) {
				p.Silence(on)
			}
		}
		each(true)
		return func(context.Context) error { each(false); return nil }, nil
	}}
}

func (r *rig) ways(to string) []*proxy.Proxy {
	if to == toRedis {
		return r.RedisWay
	}
	return r.KafkaWay
}
