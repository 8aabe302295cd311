package chaos

import (
	"context"
	"math/rand/v2"
	"syscall"
	"time"
)

// Fault breaks something of a rig, and mends it again.
type Fault struct {
	Name        string
	Planned     bool          // an operator's own doing: it excuses no repeat
	Sudden      bool          // recovery counts from the breaking: the rest must do without what is broken
	Lasts, UpTo time.Duration // from the breaking to the mending, at random between the two; UpTo 0: always Lasts
	// Break does it. The function that it returns, if any, mends it.
	Break func(context.Context, *rig, *rand.Rand) (mend, error)
}

type mend func(context.Context) error

// Kill ends an instance with SIGKILL, and starts one in its place.
func Kill() Fault {
	return Fault{Name: "SIGKILL", Sudden: true, UpTo: 1500 * time.Millisecond, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		r.kill(r.pick(rng))
		return func(context.Context) error { return r.start() }, nil
	}}
}

// Freeze stops an instance with SIGSTOP, so that the group gives its partitions away, and lets it go on later.
func Freeze(lasts, upTo time.Duration) Fault {
	return Fault{Name: "SIGSTOP", Lasts: lasts, UpTo: upTo, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		in := r.pick(rng)
		in.Signal(syscall.SIGSTOP)
		return func(context.Context) error { in.Signal(syscall.SIGCONT); return nil }, nil
	}}
}

// Join adds an instance.
func Join() Fault {
	return Fault{Name: "join", Planned: true, Break: func(_ context.Context, r *rig, _ *rand.Rand) (mend, error) {
		return nil, r.start()
	}}
}

// Leave drains an instance.
func Leave() Fault {
	return Fault{Name: "leave", Planned: true, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		return nil, r.drain(r.pick(rng))
	}}
}

// Restart drains an instance and starts one in its place.
func Restart() Fault {
	return Fault{Name: "restart", Planned: true, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		if err := r.drain(r.pick(rng)); err != nil {
			return nil, err
		}
		return nil, r.start()
	}}
}
