package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/internal/process"
)

// Fault breaks something of a rig, and mends it again.
type Fault struct {
	Name        string
	Planned     bool          // an operator's own doing: it excuses no repeat
	Sudden      bool          // recovery counts from the breaking: the rest must do without what is broken
	Lasts, UpTo time.Duration // from the breaking to the mending, at random between the two; UpTo 0: always Lasts
	Shows       time.Duration // from the breaking on, what it does may begin so late
	Times       int           // how often it counts; 0 is once
	// Break does it. The function that it returns, if any, mends it.
	Break func(context.Context, *rig, *rand.Rand) (mend, error)
}

type mend func(context.Context) error

// afterSession is when the group has given away what a silent member had.
const afterSession = sessionTimeout + 1500*time.Millisecond

// Kill ends an instance with SIGKILL, and starts one in its place.
func Kill() Fault {
	return Fault{Name: "SIGKILL", Sudden: true, Shows: afterSession, UpTo: 1500 * time.Millisecond, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		r.kill(r.pick(rng))
		return func(context.Context) error { return r.start() }, nil
	}}
}

// Freeze stops an instance with SIGSTOP, so that the group gives its partitions away, and lets it go on later.
func Freeze(lasts, upTo time.Duration) Fault { return freeze(1, lasts, upTo) }

// FreezeTwo stops two instances, one shortly after the other.
func FreezeTwo(lasts, upTo time.Duration) Fault { return freeze(2, lasts, upTo) }

// freezeApart is the time between two that are stopped, at most.
const freezeApart = 2 * time.Second

func freeze(victims int, lasts, upTo time.Duration) Fault {
	return Fault{Name: "SIGSTOP", Sudden: true, Lasts: lasts, UpTo: upTo, Times: victims, Break: func(ctx context.Context, r *rig, rng *rand.Rand) (mend, error) {
		apart := time.Duration(rng.Int64N(int64(freezeApart)))
		each := func(ctx context.Context, s syscall.Signal, of []*process.Process) error {
			for i, in := range of {
				if i > 0 {
					if err := pause(ctx, apart); err != nil {
						return err
					}
				}
				in.Signal(s)
			}
			return nil
		}
		chosen := r.pickSome(rng, victims)
		err := each(ctx, syscall.SIGSTOP, chosen)
		return func(ctx context.Context) error { return each(ctx, syscall.SIGCONT, chosen) }, err
	}}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-after(time.Now().Add(d)):
		return nil
	}
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

// fullDisk is a file that takes nothing.
const fullDisk = "/dev/full"

// FillDiskOfLog ends an instance with SIGKILL, and starts one in its place whose log cannot be written for want of space.
func FillDiskOfLog() Fault {
	return Fault{Name: "disk of the log full", Sudden: true, Shows: afterSession, Break: func(_ context.Context, r *rig, rng *rand.Rand) (mend, error) {
		r.kill(r.pick(rng))
		return nil, r.startOn(fullDisk)
	}}
}

// reloadLimit is for an instance to take up another plugin on a busy machine.
const reloadLimit = 30 * time.Second

// Reload builds the plugin anew, so that it is another one which does the same, and has every instance take it up by SIGHUP.
func Reload() Fault {
	return Fault{Name: "reload", Planned: true, Break: func(ctx context.Context, r *rig, rng *rand.Rand) (mend, error) {
		if err := r.rebuild(rng); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, reloadLimit)
		defer cancel()
		for _, in := range r.instances {
			if in.Log() == fullDisk {
				in.Signal(syscall.SIGHUP)
				continue
			}
			before, err := reloads(in)
			if err != nil {
				return nil, err
			}
			in.Signal(syscall.SIGHUP)
			err = in.Await(ctx, func(context.Context) error {
				if now, err := reloads(in); err != nil || now > before {
					return err
				}
				return errors.New("an instance does not say that it has taken up the new plugin")
			})
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}
}

// reloads counts how often an instance says that it has taken up something new.
func reloads(in *process.Process) (int, error) {
	raw, err := os.ReadFile(in.Log())
	if err != nil {
		return 0, fmt.Errorf("reading what an instance says: %w", err)
	}
	if bytes.Contains(raw, []byte("the reload was refused")) {
		return 0, fmt.Errorf("an instance refuses the new plugin:\n%s", in.Tail())
	}
	return bytes.Count(raw, []byte(`"msg":"reload"`)), nil
}
