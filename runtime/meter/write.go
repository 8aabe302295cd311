package meter

import "encoding/binary"

// Metered writes the module anew: it pays for what it does, its memory is bounded, and of its custom sections only the
// names remain. Functions keep their numbers, and so their names in a stack trace.
func (m *Module) Metered() []byte {
	w := &writer{m: m, weights: m.weights()}
	w.nameTypes()
	w.out = append(make([]byte, 0, len(m.raw)+len(m.raw)/2), m.raw[:8]...)
	for _, id := range []byte{typeSection, importSection, functionSection, tableSection, memorySection, globalSection, exportSection,
		elementSection, dataCountSection, codeSection, dataSection} {
		w.writeSection(id)
	}
	w.writeNames()
	return w.out
}

type writer struct {
	m       *Module
	weights []uint32 // what each function takes from the depth
	out     []byte
	content []byte            // of the section at hand
	code    []byte            // of the body at hand
	traps   int               // blocks around the body at hand that end in a trap
	trap    int               // the next of them
	blocks  map[string]uint32 // number of the type () -> results, for several results
	added   [][]byte          // results of the types to add
}

// nameTypes finds or adds the types of the blocks around the bodies that count depth.
func (w *writer) nameTypes() {
	w.blocks = map[string]uint32{}
	for i, t := range w.m.types {
		if len(t.Params) == 0 {
			w.blocks[string(t.Results)] = uint32(i)
		}
	}
	for i := range w.m.bodies {
		results := w.m.resultsOf(i)
		if _, ok := w.blocks[string(results)]; len(results) > 1 && !ok {
			w.blocks[string(results)] = uint32(len(w.m.types) + len(w.added))
			w.added = append(w.added, results)
		}
	}
}

func (m *Module) resultsOf(body int) []byte { return m.types[m.typeOf[m.imported+body]].Results }

func (w *writer) writeSection(id byte) {
	var items []byte // as they are, without their count
	var whole []byte
	for _, s := range w.m.sections {
		if s.id == id {
			items, whole = w.m.raw[s.body:s.to], w.m.raw[s.from:s.to]
		}
	}
	c := w.content[:0]
	switch id {
	case typeSection:
		c = append(unsigned(c, uint64(w.m.items[id]+len(w.added))), items...)
		for _, results := range w.added {
			c = append(unsigned(append(c, 0x60, 0), uint64(len(results))), results...)
		}
	case memorySection:
		c = w.memory(c, whole)
	case globalSection:
		c = append(unsigned(c, uint64(w.m.items[id]+2)), items...)
		c = append(c, i64, 1, opI64Const, 0, opEnd, i32, 1, opI32Const, 0, opEnd)
	case exportSection:
		c = w.exports(c, items)
	case codeSection:
		c = w.bodies(c, whole)
	default:
		c = append(c, whole...)
	}
	if w.content = c; len(c) > 0 {
		w.out = append(unsigned(append(w.out, id), uint64(len(c))), c...)
	}
}

// exports is the export section, with ours added.
func (w *writer) exports(c, items []byte) []byte {
	added := []Export{{FuelExport, Global, uint32(w.m.globals)}, {DepthExport, Global, uint32(w.m.globals) + 1}}
	if w.m.start >= 0 {
		added = append(added, Export{StartExport, Func, uint32(w.m.start)})
	}
	c = append(unsigned(c, uint64(w.m.items[exportSection]+len(added))), items...)
	for _, e := range added {
		c = append(unsigned(c, uint64(len(e.Name))), e.Name...)
		c = unsigned(append(c, byte(e.Kind)), uint64(e.Index))
	}
	return c
}

// memory is the memory section, with the cap as its maximum.
func (w *writer) memory(c, whole []byte) []byte {
	for _, l := range w.m.memories {
		if l.imported {
			continue
		}
		limit := w.m.caps.MemoryPages
		if l.bounded {
			limit = min(limit, l.max)
		}
		return unsigned(unsigned(append(c, 1, 1), uint64(l.min)), uint64(limit))
	}
	return append(c, whole...)
}

// writeNames writes the section with the names of functions, if a trap can tell them.
func (w *writer) writeNames() {
	for _, s := range w.m.sections {
		if s.id != customSection {
			continue
		}
		if names := tellable(w.m.raw[s.from:s.to]); names != nil {
			w.out = append(unsigned(append(w.out, customSection), uint64(len(names))), names...)
		}
	}
}

func (w *writer) bodies(c, whole []byte) []byte {
	if len(w.m.bodies) == 0 {
		return append(c, whole...)
	}
	c = unsigned(c, uint64(len(w.m.bodies)))
	for i := range w.m.bodies {
		w.code = w.body(w.code[:0], i)
		c = append(unsigned(c, uint64(len(w.code))), w.code...)
	}
	return c
}

// body writes one function: its locals, what it pays at its entry, and its code with the edits in it. Around the code go
// blocks: what returned, or branched out of the function, ends behind the innermost, where the depth is given back; a
// check that fails goes behind one of the others, where it traps. A trap gives nothing back: the host sets the depth anew.
//
// Each check has a block of its own, for the engine joins a comparison and its branch into one only where nothing else
// branches to the same place; and the block is around the code, since the engine then lays the trap out of the way.
func (w *writer) body(c []byte, i int) []byte {
	b, weight := &w.m.bodies[i], w.weights[i]
	c = w.locals(c, b)
	w.traps, w.trap = min(b.countChecks(weight), maxTraps), 0
	for range w.traps {
		c = append(c, opBlock, emptyBlock)
	}
	if w.traps > 0 {
		c = w.blockType(append(c, opBlock), w.m.resultsOf(i))
	}
	c = w.pay(c, &b.edits[0], b)
	if weight > 0 {
		c = w.check(w.count(c, opI32Sub, weight), w.m.globals+1, i32, 1)
	}
	at := b.code
	for j := range b.edits[1:] {
		e := &b.edits[1+j]
		c = append(c, w.m.raw[at:e.at]...)
		at = e.at
		switch e.kind {
		case dive:
			c = w.check(w.count(c, opI32Sub, 1), w.m.globals+1, i32, e.depth)
		case rise:
			c = w.count(c, opI32Add, 1)
		case leave:
			if weight > 0 {
				c = with(c, opBr, int(e.depth)-1)
				at++
			}
		case openLoop:
			c = w.blockLike(c, at)
		case openTurn:
			c = w.blockLike(append(c, opBlock, emptyBlock), int(e.value))
		case closeTurn:
			c = append(with(append(c, opEnd), opBr, 2), opEnd)
			c = with(w.pay(c, &edit{kind: closeTurn, value: e.value, depth: e.depth - 2}, b), opBr, 0)
		case closeLoop:
			c = append(c, opEnd)
		case relabel:
			c = unsigned(c, uint64(e.value))
			for w.m.raw[at] >= 0x80 {
				at++
			}
			at++
		default:
			c = w.pay(c, e, b)
		}
	}
	c = append(c, w.m.raw[at:b.to]...)
	if weight > 0 {
		c = w.count(c, opI32Add, weight)
	}
	if w.traps > 0 {
		c = append(c, opReturn)
	}
	for range w.traps {
		c = append(c, opEnd, opUnreachable)
	}
	if w.traps > 0 {
		c = append(c, opEnd)
	}
	return c
}

// maxTraps is how many checks of a function have a trap of their own; those behind them share the last.
const maxTraps = 200

// countChecks is how many checks the function will have.
func (b *body) countChecks(weight uint32) int {
	n := 0
	if weight > 0 {
		n++
	}
	for _, e := range b.edits {
		if e.kind.checks() {
			n++
		}
	}
	return n
}

// locals are those of the function, and behind them ours, for lengths.
func (w *writer) locals(c []byte, b *body) []byte {
	if !b.temporary {
		return append(c, w.m.raw[b.from:b.code]...)
	}
	at := b.from
	for w.m.raw[at] >= 0x80 {
		at++
	}
	c = append(unsigned(c, uint64(b.groups+1)), w.m.raw[at+1:b.code]...)
	return append(c, 1, i32)
}

func (w *writer) blockType(c, results []byte) []byte {
	switch len(results) {
	case 0:
		return append(c, emptyBlock)
	case 1:
		return append(c, results[0])
	}
	return signed(c, int64(w.blocks[string(results)]))
}

// blockLike opens a block of the type of the loop at.
func (w *writer) blockLike(c []byte, at int) []byte {
	end := at + 1
	for w.m.raw[end] >= 0x80 {
		end++
	}
	return append(append(c, opBlock), w.m.raw[at+1:end+1]...)
}

// count changes the depth.
func (w *writer) count(c []byte, op byte, weight uint32) []byte {
	c = signed(append(with(c, opGlobalGet, w.m.globals+1), opI32Const), int64(weight))
	return with(append(c, op), opGlobalSet, w.m.globals+1)
}

// with writes an instruction with an index.
func with(c []byte, op byte, index int) []byte { return unsigned(append(c, op), uint64(index)) }

// check traps if a variable is below zero; depth is the number of open blocks of the function. The first check of a
// function goes behind the innermost of the blocks for traps.
func (w *writer) check(c []byte, index int, kind byte, depth uint32) []byte {
	c = with(c, opGlobalGet, index)
	if kind == i64 {
		c = append(c, opI64Const, 0, opI64LtS)
	} else {
		c = append(c, opI32Const, 0, opI32LtS)
	}
	c = with(c, opBrIf, int(depth)+w.trap)
	w.trap = min(w.trap+1, w.traps-1)
	return c
}

// pay subtracts from the fuel. The forms that depend on a length find it on top of the stack, and leave it there.
func (w *writer) pay(c []byte, e *edit, b *body) []byte {
	if e.kind.byLength() {
		c = with(c, opLocalTee, int(b.locals))
	}
	c = w.price(with(c, opGlobalGet, w.m.globals), e, b)
	c = with(append(c, opI64Sub), opGlobalSet, w.m.globals)
	if e.kind == pay {
		return c
	}
	return w.check(c, w.m.globals, i64, e.depth)
}

// price puts what is to be paid on the stack.
func (w *writer) price(c []byte, e *edit, b *body) []byte {
	length := int(b.locals)
	switch e.kind {
	case payBytes:
		return append(with(c, opLocalGet, length), opI32Const, bytesPerUnitLog2, opI32ShrU, opI64Extend)
	case payEntries:
		return append(with(c, opLocalGet, length), opI64Extend)
	case payPages, payTable: // growth beyond the limit costs nothing: it does not happen
		limit, unit := w.m.caps.MemoryPages, int64(unitsPerPage)
		if e.kind == payTable {
			limit, unit = w.m.caps.TableEntries, 1
		}
		c = append(with(c, opLocalGet, length), opI32Const, 0)
		c = signed(append(with(c, opLocalGet, length), opI32Const), int64(int32(limit)))
		return append(signed(append(c, opI32LeU, opSelect, opI64Extend, opI64Const), unit), opI64Mul)
	}
	return signed(append(c, opI64Const), int64(e.value))
}

const (
	bytesPerUnitLog2 = 2
	unitsPerPage     = 4096
)

func unsigned(c []byte, n uint64) []byte { return binary.AppendUvarint(c, n) }

// signed writes a signed LEB128 number.
func signed(c []byte, n int64) []byte {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(c, low)
		}
		c = append(c, low|0x80)
	}
}
