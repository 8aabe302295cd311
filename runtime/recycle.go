package runtime

import (
	"context"
	"fmt"
)

// A plugin that does not free what it allocates runs until its memory is full, and traps at a record that is not to blame, which
// is found out by dividing the batch. So an instance that comes near its limit is replaced between two batches, before that.
//
// What needs so much memory is left alone: it has half of its limit, or more, after its first batch. So is a plugin that looks back: its
// memory is what it was given of the log, and made again it would be as large as before, again and again.

// An instance is nearly full beyond fullParts of fullOf parts of its limit. The rest is what the next batch may leak without a trap: 800 bytes
// for each of 5,000 records, by the defaults.
const fullParts, fullOf = 7, 8

// Roofed is a Session whose guest has a limit of memory of its own, below that of its module.
type Roofed interface{ RoofBytes() int64 }

func (g *Guest) roof() int64 {
	if r, ok := g.session.(Roofed); ok {
		return r.RoofBytes()
	}
	return g.plugin.limits.MemoryBytes
}

// noteGrowth takes note of what a batch has done to the instance.
func (g *Guest) noteGrowth() {
	i := &g.instance
	size, roof := i.module.Memory().Size(), g.roof()
	i.records += len(g.todo)
	switch {
	case len(g.todo) == 0 || g.plugin.looksBack:
	case i.settled == 0:
		i.settled = size
	default:
		i.full = int64(size)*fullOf > roof*fullParts && int64(i.settled)*2 < roof
	}
}

// recycle replaces an instance that was found to be nearly full. Nothing is wrong with it yet, so that it is told of its end.
func (g *Guest) recycle(ctx context.Context) error {
	if g.events.Recycled != nil {
		g.events.Recycled(int64(g.instance.module.Memory().Size()), g.roof(), g.instance.records)
	}
	g.lives++
	if err := joinErrors(g.end(ctx), g.restart(ctx)); err != nil {
		return fmt.Errorf("replacing an instance whose memory was nearly full: %w", err)
	}
	return nil
}
