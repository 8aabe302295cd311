package runtime

import (
	"fmt"

	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// budget is what an instance may still spend. The host sets it while the guest is not running.
type budget struct {
	fuel, depth api.MutableGlobal
	given       int64 // fuel when it was set last
	spent       int64 // of what was set before
}

func budgetOf(m api.Module) budget {
	fuel, _ := m.ExportedGlobal(meter.FuelExport).(api.MutableGlobal)
	depth, _ := m.ExportedGlobal(meter.DepthExport).(api.MutableGlobal)
	return budget{fuel: fuel, depth: depth}
}

// refill sets all that the guest may spend from now on. It is for a guest that is not in the middle of a call.
func (b *budget) refill(fuel int64, depth int) {
	b.depth.Set(uint64(uint32(depth)))
	b.refuel(fuel)
	b.spent = 0
}

// refuel sets the fuel alone: a guest that has called the host from a call of its own has its depth in use.
func (b *budget) refuel(fuel int64) {
	b.spent += b.used()
	b.given = fuel
	b.fuel.Set(uint64(fuel))
}

// used is the fuel spent since it was set last.
func (b *budget) used() int64 { return b.given - int64(b.fuel.Get()) }

// total returns the fuel spent since total was called last.
func (b *budget) total() int64 {
	used := b.spent + b.used()
	b.spent = -b.used()
	return used
}

// charge lets the guest pay for what the host does for it.
func (b *budget) charge(units int64) { b.fuel.Set(uint64(int64(b.fuel.Get()) - units)) }

// exhausted says what the guest ran out of when it trapped, or nothing if the trap is its own.
func (b *budget) exhausted() (stream.Reason, bool) {
	switch {
	case b.fuel == nil:
		return "", false
	case int64(b.fuel.Get()) < 0:
		return stream.ReasonFuel, true
	case int32(uint32(b.depth.Get())) < 0:
		return stream.ReasonDepth, true
	}
	return "", false
}

// explain puts the limit that a trap ran into in the place of the trap, or adds what the guest said of its own failure.
func (g *Guest) explain(f *fault) {
	if f.reason == stream.ReasonError {
		f.message = g.quoted(f.message)
	}
	if f.alive || f.reason != stream.ReasonTrap {
		return
	}
	b := &g.instance.budget
	switch reason, ok := b.exhausted(); {
	case !ok:
		if text, said := g.reasons[-1]; said {
			f.message += ": " + text
		}
		f.message = g.quoted(f.message)
	case reason == stream.ReasonFuel:
		f.reason, f.message = reason, fmt.Sprintf("it spent more than the limit fuel of %d units%s", b.given, place(f.message))
	default:
		f.reason, f.message = reason, fmt.Sprintf("its calls went deeper than the limit depth of %d%s", g.plugin.limits.Depth, place(f.message))
	}
}

// startError says what went wrong in a phase of the start.
func (g *Guest) startError(phase string, err error) error {
	f := faultOf(err)
	g.endLines()
	if g.explain(f); f.reason == stream.ReasonTrap || f.reason == stream.ReasonFuel || f.reason == stream.ReasonDepth {
		return fmt.Errorf("calling %s: %s", phase, f.message)
	}
	return fmt.Errorf("calling %s: %w", phase, err)
}

// fuelFor is the budget of a call with n records.
func (g *Guest) fuelFor(n int) int64 {
	each := g.plugin.limits.Fuel
	return max(each, min(each*int64(n), callFuel))
}

// most is how many records go into one call: as many as are likely to keep within two thirds of its fuel.
func (g *Guest) most() int {
	if g.perRecord == 0 {
		return firstCall
	}
	return int(max(1, callFuel*2/3/g.perRecord))
}

// firstCall is how many records a guest gets at once before it is known what one costs.
const firstCall = 100

// learn takes note of what a record has cost. Dear ones are forgotten slowly.
func (g *Guest) learn(records int, used int64) {
	each := max(1, used/int64(max(1, records)))
	g.perRecord = max(each, g.perRecord-g.perRecord/8)
}

// account reports what a call has cost.
func (g *Guest) account(records int) {
	g.learn(records, g.tellFuel())
	if g.events.Call != nil {
		g.events.Call(records)
	}
}

// tellFuel reports what was spent since it did so last.
func (g *Guest) tellFuel() int64 {
	used := g.instance.budget.total()
	if g.events.Fuel != nil {
		g.events.Fuel(used)
	}
	return used
}
