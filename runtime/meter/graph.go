package meter

// What a call takes on the machine's stack is bounded by counting depth, and only where calls may go round: in functions
// that belong to a cycle of the call graph. Calls through the table are edges to every function of that type whose
// address is taken. A chain of functions outside of all cycles has an end; its weight is added to the function that
// counts above it. A chain that is long nevertheless gets functions that count within it.

// chainWeight is how much of a chain may go uncounted.
const chainWeight = 256

// slotsPerWeight is how many values of a call's frame weigh as much as a call.
const slotsPerWeight = 16

// weights computes what each function takes from the depth at its entry; 0 is a function that does not count.
func (m *Module) weights() []uint32 {
	g := newGraph(m)
	for v := range g.nodes {
		if g.nodes[v].order == 0 {
			g.visit(v)
		}
	}
	out := make([]uint32, len(m.bodies))
	for i := range out {
		if g.nodes[i].counts {
			out[i] = g.nodes[i].weight
		}
	}
	return out
}

// graph is the call graph. Its nodes are the functions with bodies, and behind them the types, which stand for all
// functions that may be called through the table.
type graph struct {
	m       *Module
	nodes   []node
	type0   int     // node of the first type
	types   []int   // canonical type of each type
	targets [][]int // nodes of the functions of each canonical type
	stack   []int
	path    []int // nodes being visited
	clock   int
}

type node struct {
	order, low int // Tarjan's numbers
	next       int // edge to follow next
	open       bool
	counts     bool
	weight     uint32 // of a call of it, with the chain below that does not count
}

func newGraph(m *Module) *graph {
	g := &graph{m: m, nodes: make([]node, len(m.bodies)+len(m.types)), type0: len(m.bodies), types: make([]int, len(m.types)), targets: make([][]int, len(m.types))}
	canonical := map[string]int{}
	for i, t := range m.types {
		k := t.key()
		if _, ok := canonical[k]; !ok {
			canonical[k] = i
		}
		g.types[i] = canonical[k]
	}
	seen := make([]bool, len(m.bodies))
	for _, f := range m.taken {
		if i := int(f) - m.imported; i >= 0 && i < len(seen) && !seen[i] {
			seen[i] = true
			t := g.types[m.typeOf[f]]
			g.targets[t] = append(g.targets[t], i)
		}
	}
	return g
}

// edge returns the n-th callee of a node. Imported functions are none: the host does not call back.
func (g *graph) edge(v, n int) (to int, ok bool) {
	if v >= g.type0 {
		list := g.targets[v-g.type0]
		if n < len(list) {
			return list[n], true
		}
		return 0, false
	}
	b := &g.m.bodies[v]
	if n < len(b.calls) {
		if f := int(b.calls[n]) - g.m.imported; f >= 0 {
			return f, true
		}
		return v, false
	}
	if n -= len(b.calls); n < len(b.indirect) {
		return g.type0 + g.types[b.indirect[n]], true
	}
	return 0, false
}

func (g *graph) edges(v int) int {
	if v >= g.type0 {
		return len(g.targets[v-g.type0])
	}
	return len(g.m.bodies[v].calls) + len(g.m.bodies[v].indirect)
}

// visit finds the strongly connected components that can be reached from root, callees before callers (Tarjan 1972),
// without recursion of its own.
func (g *graph) visit(root int) {
	g.enter(root)
	for len(g.path) > 0 {
		v := g.path[len(g.path)-1]
		at := &g.nodes[v]
		if at.next < g.edges(v) {
			at.next++
			to, ok := g.edge(v, at.next-1)
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

// component weighs the nodes of a component whose callees outside of it have been weighed.
func (g *graph) component(head int) {
	from := len(g.stack) - 1
	for g.stack[from] != head {
		from--
	}
	members := g.stack[from:]
	g.stack = g.stack[:from]
	cycle := len(members) > 1 || g.callsItself(head)
	for _, v := range members {
		below := uint32(0)
		for n := range g.edges(v) {
			if to, ok := g.edge(v, n); ok && !g.nodes[to].open && !g.nodes[to].counts {
				below = max(below, g.nodes[to].weight)
			}
		}
		at := &g.nodes[v]
		at.weight = below
		if v < g.type0 {
			at.weight += 1 + g.m.bodies[v].frame/slotsPerWeight
			at.counts = cycle || at.weight > chainWeight
		}
	}
	for _, v := range members {
		g.nodes[v].open = false
	}
}

func (g *graph) callsItself(v int) bool {
	for n := range g.edges(v) {
		if to, ok := g.edge(v, n); ok && to == v {
			return true
		}
	}
	return false
}
