package runtime

import (
	"context"
	"fmt"
)

// Replace puts next in the place of p, for all guests of p: each takes it up between two batches, so that a batch is
// processed by one of them alone. A guest that cannot start next stays with what it has, and tells so (Events.Swapped).
// It does not block. Both plugins are the caller's to close; p may be closed at once.
//
// Whoever replaces a plugin starts a guest of next first, and closes it, to see that it starts.
func (p *Plugin) Replace(next *Plugin) { p.latest().next.Store(next) }

// latest is the plugin that has taken the place of p, in however many steps, or p.
func (p *Plugin) latest() *Plugin {
	for {
		next := p.next.Load()
		if next == nil {
			return p
		}
		p = next
	}
}

// takeUp changes over to the plugin that has taken the place of this guest's, if there is one.
func (g *Guest) takeUp(ctx context.Context) error {
	next := g.plugin.latest()
	if next == g.plugin || next == g.refused || !next.rt.retain(next.module) {
		return nil
	}
	old := g.current
	err := next.suits(g.mode)
	if err == nil {
		g.current = current{plugin: next}
		err = g.start(ctx)
	}
	if err != nil {
		g.current = old
		err = joinErrors(err, next.rt.release(ctx, next.module))
		if ctx.Err() == nil {
			g.refused = next
			g.tellSwap(next, err)
		}
		return ctx.Err()
	}
	g.lives++
	fresh := g.current
	g.current = old
	err = joinErrors(g.end(ctx), old.plugin.rt.release(ctx, old.plugin.module))
	g.current = fresh
	g.tellSwap(next, nil)
	return err
}

func (g *Guest) tellSwap(to *Plugin, err error) {
	if g.events.Swapped != nil {
		g.events.Swapped(to.digest, err)
	}
}

// suits says whether a plugin can be used in a step of this mode.
func (p *Plugin) suits(mode Mode) error {
	switch {
	case mode == Filter && p.form == maps:
		return fmt.Errorf("starting plugin %s: it has sp_map, use it as a transform", p.name)
	case mode == Transform && p.form == filters:
		return fmt.Errorf("starting plugin %s: it has sp_filter, use it as a filter", p.name)
	}
	return nil
}
