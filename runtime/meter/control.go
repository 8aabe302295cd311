package meter

import (
	"cmp"
	"slices"
)

// open reads the type of a block, loop or if, and enters it.
func (s *scan) open(op byte, at int) {
	params, results := s.readBlockType()
	if !s.r.ok() {
		return
	}
	if op != opBlock {
		s.join()
	}
	first := op == opLoop && s.straight()
	turns := op == opLoop && params == 0 && s.turns() < maxTurns && !s.dispatches()
	if turns {
		s.edit(at, openLoop, 0)
	}
	s.r.over(uint64(len(s.control)), uint64(s.m.caps.Nesting), "nested blocks")
	s.forked = s.forked || op == opIf
	s.enter(op, params, results)
	if first && !turns {
		s.guard = s.r.at
	}
	if turns {
		f := &s.control[len(s.control)-1]
		f.turning, f.turns = true, f.turns+1
		s.pieces[f.first].at = at // coming through it once is paid for in front of it
		s.edit(s.r.at, openTurn, uint32(at))
	}
}

func (s *scan) readBlockType() (params, results int) {
	if s.r.at < s.r.end {
		switch b := s.r.b[s.r.at]; {
		case b == emptyBlock:
			s.r.at++
			return 0, 0
		case b < 0x80 && b&0x40 != 0: // a negative number of one byte
			_ = s.r.valueType()
			return 0, 1
		}
	}
	t := s.m.typeIndex(s.r)
	if !s.r.ok() {
		return 0, 0
	}
	return len(s.m.types[t].Params), len(s.m.types[t].Results)
}

// straight says whether the function has come here without a fork or a call, so that each call of it comes here. A return is an
// edit, and behind what traps nobody comes.
func (s *scan) straight() bool {
	return !s.forked && len(s.b.edits)+len(s.b.calls) == 0
}

// dispatches says whether the loop that begins here does so by a br_table on a local, behind nothing but blocks: each
// function of Go is such a loop. Its ways back are many, and would all have to come by one place to pay.
func (s *scan) dispatches() bool {
	b := s.r.b[s.r.at:s.r.end]
	for len(b) > 2 && b[0] == opBlock && b[1] == emptyBlock {
		b = b[2:]
	}
	return len(b) > 2 && b[0] == opLocalGet && b[1] < 0x80 && b[2] == opBrTable
}

// maxTurns is how many loops within each other pay as they turn; those within them pay at their head.
const maxTurns = 50

// blocksPerTurn is how many blocks are added for a loop that pays as it turns: one around it and two in it.
const blocksPerTurn = 3

// added is how many blocks that are not in the module lie on the way out to the label of a frame. That of a loop that
// pays as it turns is the one where it pays.
func (s *scan) added(f *frame) int {
	n := blocksPerTurn * (s.turns() - f.turns)
	if f.turning {
		n++
	}
	return n
}

// turns is how many loops are open that pay as they turn.
func (s *scan) turns() int {
	if len(s.control) == 0 {
		return 0
	}
	return s.control[len(s.control)-1].turns
}

// join counts a place where ways meet: there the compiler has to merge what it knows of each local.
func (s *scan) join() {
	s.joins++
	s.r.over(uint64(s.joins), uint64(s.m.caps.Joins), "ifs, loops and branched-to blocks in one function")
}

func (s *scan) enter(op byte, params, results int) {
	f := frame{op: op, base: max(s.height-params, 0), params: params, results: results, first: len(s.pieces), exits: len(s.control)}
	if n := len(s.control); n > 0 {
		f.outside, f.turns = s.control[n-1].dead, s.control[n-1].turns
		f.dead = f.outside
	}
	s.control = append(s.control, f)
	s.pieces = append(s.pieces, piece{at: s.r.at})
}

// structure does what the opcodes without operands do to the flow of control.
func (s *scan) structure(op byte, at int) {
	switch op {
	case opUnreachable:
		s.die()
	case opReturn:
		s.edit(at, leave, 0)
		s.exit(0)
		s.die()
	case opElse:
		f := &s.control[len(s.control)-1]
		if f.op != opIf {
			s.r.failAt(at, nil, "an else without an if")
			return
		}
		p := s.fold(f)
		s.settle(p, p.cost)
		f.op, f.dead = opElse, f.outside
		s.height = f.base + f.params
		s.pieces = append(s.pieces, piece{at: s.r.at})
	case opEnd:
		s.close(at)
	}
}

func (s *scan) die() {
	f := &s.control[len(s.control)-1]
	f.dead = true
	s.height = f.base
}

// branch reads the labels of br, br_if and br_table.
func (s *scan) branch(op byte, at int) {
	s.forked = true
	n := 1
	if op == opBrTable {
		n += s.r.count(s.m.caps.Targets, "targets of a br_table")
		s.targets += n
		s.r.over(uint64(s.targets), uint64(s.m.caps.Targets)+1, "targets of br_tables in one function")
	}
	for i := 0; i < n && s.r.ok(); i++ {
		place := s.r.at
		l := s.r.u32()
		if int64(l) >= int64(len(s.control)) {
			s.r.failAt(at, nil, "label %d is not among the %d there are", l, len(s.control))
			return
		}
		to := len(s.control) - 1 - int(l)
		f := &s.control[to]
		if !f.targeted && f.op == opBlock {
			s.join()
		}
		f.targeted = true
		s.exit(to)
		if added := s.added(f); added > 0 {
			s.edit(place, relabel, l+uint32(added))
		}
	}
	if op != opBrIf {
		s.die()
		return
	}
	s.divide() // what follows may be left out
}

// exit notes that control may go from here to the end of a frame, or to its head.
func (s *scan) exit(to int) {
	f := &s.control[len(s.control)-1]
	f.exits = min(f.exits, to)
}

// divide begins a new piece.
func (s *scan) divide() {
	if !s.control[len(s.control)-1].dead {
		s.pieces = append(s.pieces, piece{at: s.r.at})
	}
}

// close ends the innermost frame.
func (s *scan) close(at int) {
	f := s.control[len(s.control)-1]
	switch outermost := len(s.control) == 1; {
	case outermost:
		s.settleEntry(&f)
	case f.op == opIf || f.op == opElse:
		p := s.fold(&f)
		s.settle(p, p.cost)
	case f.turning:
		s.settleTurn(&f, at)
	case f.op == opLoop && f.targeted:
		s.settleLoop(&f)
	default:
		p := s.fold(&f)
		s.settle(p, p.extra)
	}
	s.control = s.control[:len(s.control)-1]
	if len(s.control) == 0 {
		return
	}
	s.height = f.base
	s.push(f.results)
	if f.exits < len(s.control) { // control may not have come out of it here
		s.exit(f.exits)
		s.divide()
	}
}

// fold merges the pieces of a frame into the first where little may be skipped, and makes the others pay for
// themselves. It returns the first.
func (s *scan) fold(f *frame) piece {
	first := s.pieces[f.first]
	last := &first
	for i := f.first + 1; i < len(s.pieces); i++ {
		p := s.pieces[i]
		if p.cost == 0 || last.extra+p.cost <= foldCost {
			last.cost, last.extra = last.cost+p.cost, last.extra+p.cost
			continue
		}
		if last != &first {
			s.edit(last.at, pay, last.cost)
		}
		last = &p
	}
	if last != &first {
		s.edit(last.at, pay, last.cost)
	}
	s.pieces = s.pieces[:f.first]
	return first
}

// settleLoop makes a loop pay at its head.
func (s *scan) settleLoop(f *frame) {
	p := s.fold(f)
	s.edit(p.at, payAndCheck, max(p.cost, costSimple))
	s.b.guarded = s.b.guarded || p.at == s.guard
}

// settleTurn makes a loop pay as it turns. What it costs to come through it once belongs to the piece that it is part of.
func (s *scan) settleTurn(f *frame, at int) {
	p := s.fold(f)
	s.edit(at, closeTurn, max(p.cost, costSimple))
	s.edit(s.r.at, closeLoop, 0)
	s.settle(p, p.extra)
}

// settleEntry makes a function pay where it begins. One that is short and goes nowhere need not check, its callers do;
// nor need one that soon comes to the head of a loop, which does.
func (s *scan) settleEntry(f *frame) {
	p := s.fold(f)
	how := payAndCheck
	leaf := len(s.b.calls) == 0 && !slices.ContainsFunc(s.b.edits, func(e edit) bool { return e.kind != leave })
	if leaf && p.cost <= leafCost || s.b.guarded && p.cost <= foldCost {
		how = pay
	}
	s.edit(p.at, how, max(p.cost, costSimple))
}

// leafCost is what a function that goes nowhere may cost that does not check: a body may have 200,000 calls of it in a row.
const leafCost = 100

// settle adds what a frame costs to the piece that it is part of, or makes it pay for itself.
func (s *scan) settle(p piece, skipped uint32) {
	outer := &s.pieces[len(s.pieces)-1]
	if outer.extra+skipped <= foldCost {
		outer.cost, outer.extra = outer.cost+p.cost, outer.extra+skipped
	} else {
		s.edit(p.at, pay, p.cost)
	}
}

// sortEdits puts the edits of a body in the order of the code; where two fall together, paying comes first.
func sortEdits(edits []edit) {
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind))
	})
}
