package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/stream"
)

// What the ABI allows and no pipeline does, for whoever wants to see that a plugin bears it. Each is for a guest of sp1, between
// two batches.

// Spare makes the descriptors of the batches to come longer than the guest has asked for, by the places of so many fields, as
// those of a later version may be.
func (g *Guest) Spare(places int) { g.projected.spare = places }

// Arena asks the guest for n bytes, as before a call, and returns where they are; 0 is that it has no room.
func (g *Guest) Arena(ctx context.Context, n int) (at uint32, err error) {
	g.begin(1)
	g.instance.budget.refuel(g.plugin.limits.Fuel)
	_, at, err = g.arena(g.context(ctx), n)
	if errors.Is(err, errRefused) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("calling sp_alloc(%d): %s", n, faultOf(err).message)
	}
	return at, nil
}

// Empty hands over a batch without a record, and says what is wrong with the answer.
func (g *Guest) Empty(ctx context.Context) error {
	b := &stream.Batch{}
	g.gather(b)
	if f := g.attempt(ctx, b, 0, 0); f != nil {
		return errors.Join(errors.New(f.message), g.renew(ctx, f))
	}
	return nil
}
