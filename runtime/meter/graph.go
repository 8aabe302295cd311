package meter

// What a call takes on the machine's stack is bounded by counting depth, and only where calls may go round: in functions
// that belong to a cycle of direct calls, and around calls through the table. A chain of functions outside of all cycles
// has an end. It goes uncounted as long as it is light; from there on its functions count. So between two that count
// there is at most such a chain, and the whole stack is at most 1+chainWeight times the depth that was given.
//
// Imported functions are leaves: the host does not call back. A Dialect whose host functions do so, as those of scripts and of
// Redpanda Connect, bounds how deep that goes: each such call has a stack of its own, and spends what is left of the depth.

// slotsPerWeight is how many values of a call's frame weigh 1. A depth of 1,000 is then at most 2.2 MiB of stack.
const slotsPerWeight = 16

// chainWeight is how much of a chain may go uncounted.
const chainWeight = 16

// weights computes what each function takes from the depth at its entry; 0 does not count.
func (m *Module) weights() []uint32 {
	g := &graph{m: m, nodes: make([]node, len(m.bodies))}
	for v := range g.nodes {
		if g.nodes[v].order == 0 {
			g.visit(v)
		}
	}
	out := make([]uint32, len(m.bodies))
	for i := range out {
		if g.nodes[i].counts {
			out[i] = m.bodies[i].weight()
		}
	}
	return out
}

func (b *body) weight() uint32 { return 1 + b.frame/slotsPerWeight }

// graph is the graph of direct calls between functions with bodies.
type graph struct {
	m     *Module
	nodes []node
	stack []int
	path  []int // nodes being visited
	clock int
}

type node struct {
	order, low int // Tarjan's numbers
	next       int // call to follow next
	open       bool
	counts     bool
	chain      uint32 // weight of the heaviest chain that begins with it and does not count
}

// callee returns the n-th function that v calls; ok is false for an imported one.
func (g *graph) callee(v, n int) (to int, ok bool) {
	to = int(g.m.bodies[v].calls[n]) - g.m.imported
	return to, to >= 0
}

// visit finds the strongly connected components that can be reached from root, callees before callers (Tarjan 1972),
// without recursion of its own.
func (g *graph) visit(root int) {
	g.enter(root)
	for len(g.path) > 0 {
		v := g.path[len(g.path)-1]
		at := &g.nodes[v]
		if at.next < len(g.m.bodies[v].calls) {
			at.next++
			to, ok := g.callee(v, at.next-1)
			switch {
			case !ok:
			case g.nodes[to].order == 0:
				g.enter(to)
			case g.nodes[to].open:
				at.low = min(at.low, g.nodes[to].order)
			}
			continue
		}
		g.path = g.path[:len(g.path)-1]
		if n := len(g.path); n > 0 {
			above := &g.nodes[g.path[n-1]]
			above.low = min(above.low, at.low)
		}
		if at.low == at.order {
			g.component(v)
		}
	}
}

func (g *graph) enter(v int) {
	g.clock++
	g.nodes[v] = node{order: g.clock, low: g.clock, open: true}
	g.stack = append(g.stack, v)
	g.path = append(g.path, v)
}

// component weighs the functions of a component whose callees outside of it have been weighed.
func (g *graph) component(head int) {
	from := len(g.stack) - 1
	for g.stack[from] != head {
		from--
	}
	members := g.stack[from:]
	g.stack = g.stack[:from]
	for _, v := range members {
		at := &g.nodes[v]
		for n := range g.m.bodies[v].calls {
			to, ok := g.callee(v, n)
			switch {
			case !ok:
			case g.nodes[to].open:
				at.counts = true // it is in a cycle, be it of itself alone
			case !g.nodes[to].counts:
				at.chain = max(at.chain, g.nodes[to].chain)
			}
		}
		at.chain += g.m.bodies[v].weight()
		at.counts = at.counts || at.chain > chainWeight
	}
	for _, v := range members {
		g.nodes[v].open = false
	}
}
