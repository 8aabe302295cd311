package meter

// body is the code of one function and what is to be changed in it.
type body struct {
	from, code, to int // the locals, the first instruction, the end
	groups         int // of locals
	locals         uint32
	frame          uint32 // slots that a call takes on the stack: locals and operands, as an upper bound
	calls          []uint32
	edits          []edit
	temporary      bool // it needs a local for lengths
	guarded        bool // it comes to the head of a loop that checks before it does anything
}

// edit is one change, in front of the byte at.
type edit struct {
	at    int
	kind  change
	value uint32
	depth uint32 // blocks that are open there, the function and what is added included
}

type change byte

const (
	rise        change = iota // a call through the table is over: depth is given back
	closeLoop                 // behind the end of a loop that pays as it turns
	openTurn                  // behind the beginning of a loop that pays as it turns
	closeTurn                 // in front of its end: what comes here leaves the loop, what branches here pays value and turns
	pay                       // subtract value
	payAndCheck               // and trap if that was too much
	openLoop                  // in front of a loop that pays as it turns
	leave                     // a return, which has to restore the depth
	relabel                   // a label that is value now
	payBytes                  // the length on the stack, in bytes
	payEntries                // the length on the stack, in table entries
	payPages                  // the pages on the stack, if the memory may have so many
	payTable                  // the entries on the stack, if the table may have so many
	dive                      // a call through the table comes: depth is taken
)

// checks says whether it may trap.
func (c change) checks() bool { return c == payAndCheck || c == closeTurn || c == dive || c.byLength() }

func (c change) byLength() bool { return c >= payBytes && c <= payTable }

// foldCost is how much code that may be skipped is paid for with what stands before it: as much again as it costs to pay,
// or a few times that.
const foldCost = 600

// frame is a block, loop, if or function that is open.
type frame struct {
	op              byte
	base            int // operands below it
	params, results int
	first           int  // its first piece
	outside         bool // all of it is unreachable
	dead            bool // the code that comes is unreachable
	targeted        bool // something branches to it
	turning         bool // it is a loop that pays as it turns
	turns           int  // how many such loops are open, with it
	exits           int  // the outermost frame that something in it branches to, counted from the function on; its own number if none
}

// piece is straight code within one frame: who reaches any of it has come by its first byte.
type piece struct {
	at    int // where it pays, if it does so itself
	cost  uint32
	extra uint32 // the part that may be skipped
}

// scan reads one body.
type scan struct {
	m       *Module
	r       *reader
	b       *body
	control []frame
	pieces  []piece
	guard   int  // where the loop begins that the function comes to first
	forked  bool // control may have left the way from the entry to here
	height  int  // of the operand stack
	highest int
	targets int
	joins   int
}

// readBody reads and checks one function.
func (m *Module) readBody(r *reader) {
	index := m.imported + len(m.bodies)
	size := r.u32()
	if index >= len(m.typeOf) {
		r.fail(nil, "there are more bodies than functions")
	}
	r.function = index
	defer func() { r.function = -1 }()
	r.over(uint64(size), uint64(m.caps.BodyBytes), "bytes in one function")
	from := r.at
	r.skip(uint64(size))
	if !r.ok() {
		return
	}
	in := *r
	in.at, in.end = from, r.at
	b := body{from: from, to: r.at}
	s := &m.scan
	*s = scan{m: m, r: &in, b: &b, control: s.control[:0], pieces: s.pieces[:0]}
	s.readLocals(m.types[m.typeOf[index]])
	s.run(m.types[m.typeOf[index]])
	if r.err = in.err; r.err != nil {
		r.at = r.end
		return
	}
	b.frame = b.locals + uint32(s.highest)
	m.bodies = append(m.bodies, b)
}

func (s *scan) readLocals(t Signature) {
	s.b.groups = s.r.count(s.m.caps.BodyBytes, "groups of locals")
	total := uint64(len(t.Params))
	for i := 0; i < s.b.groups && s.r.ok(); i++ {
		total += uint64(s.r.u32())
		s.r.over(total, s.m.caps.Locals, "locals")
		_ = s.r.valueType()
	}
	s.b.locals, s.b.code = uint32(total), s.r.at
}

func (s *scan) run(t Signature) {
	s.enter(opBlock, 0, len(t.Results))
	for s.r.ok() && len(s.control) > 0 {
		s.step()
	}
	if s.r.ok() && s.r.at != s.r.end {
		s.r.fail(nil, "there is code behind the end of the function")
	}
	sortEdits(s.b.edits)
}

// step reads one instruction.
func (s *scan) step() {
	at := s.r.at
	op := s.r.byte()
	i := &plain[op]
	switch {
	case op == prefixMisc:
		i = s.prefixed(misc, s.r.u32())
	case op == prefixSIMD:
		i = s.prefixed(simd, s.r.vector())
	}
	if i.operands == undefined {
		if feature, ok := newer[op]; ok {
			s.r.unsupported(feature)
		}
		s.r.failAt(at, nil, "instruction %#x is unknown", op)
		return
	}
	if op == prefixMisc {
		s.bulk(at)
	}
	if op == opMemoryGrow {
		s.edit(at, payPages, 0)
	}
	s.cost(uint32(i.cost))
	s.pop(int(i.pop))
	s.operands(i.operands, op, at)
	s.push(int(i.push))
}

func (s *scan) prefixed(table []instruction, op uint32) *instruction {
	if op < uint32(len(table)) {
		return &table[op]
	}
	if op >= 0x100 && op < 0x200 && &table[0] == &simd[0] {
		s.r.unsupported("relaxed SIMD")
	}
	s.r.fail(nil, "instruction %d behind a prefix is unknown", op)
	return &instruction{}
}

// bulk notes what an operation on a length has to pay; its number has just been read.
func (s *scan) bulk(at int) {
	in := reader{b: s.r.b, at: at + 1, end: s.r.end}
	switch in.u32() {
	case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
		s.edit(at, payBytes, 0)
	case miscTableInit, miscTableCopy, miscTableFill:
		s.edit(at, payEntries, 0)
	case miscTableGrow:
		s.edit(at, payTable, 0)
		if t := in.u32(); int64(t) < int64(len(s.m.tables)) && !(s.m.tables[t].bounded && s.m.tables[t].max <= s.m.caps.TableEntries) {
			s.r.failAt(at, ErrCap, "table.grow on a table without a maximum of at most %d entries", s.m.caps.TableEntries)
		}
	}
}

func (s *scan) edit(at int, kind change, value uint32) {
	s.b.edits = append(s.b.edits, edit{at, kind, value, uint32(len(s.control) + blocksPerTurn*s.turns())})
	s.b.temporary = s.b.temporary || kind.byLength()
	s.m.changes++
	s.r.over(uint64(s.m.changes), uint64(s.m.caps.Changes), "places that metering changes")
}

// operands reads what follows an opcode, and does what only that can tell.
func (s *scan) operands(o operands, op byte, at int) {
	r := s.r
	switch o {
	case none:
		s.structure(op, at)
	case leb:
		_ = r.u32()
	case signed5:
		r.signed(5)
	case signed10:
		r.signed(10)
	case fixed1:
		r.skip(1)
	case fixed2:
		r.skip(2)
	case fixed4:
		r.skip(4)
	case fixed8:
		r.skip(8)
	case fixed16:
		r.skip(16)
	case memory, memoryLane:
		if r.u32() >= 64 {
			r.unsupported("several memories, or memory64")
		}
		_ = r.u32()
		if o == memoryLane {
			r.skip(1)
		}
	case twoLEB:
		_, _ = r.u32(), r.u32()
	case refType:
		_ = r.valueType()
	case types:
		for range r.count(1, "types of a select") {
			_ = r.valueType()
		}
	default:
		s.references(o, op, at)
	}
}

// references reads operands that name something in the module. Indices are checked here where the metered module has
// more than this one, so that none may reach what is added.
func (s *scan) references(o operands, op byte, at int) {
	r := s.r
	switch o {
	case local:
		if n := r.u32(); n >= s.b.locals {
			r.failAt(at, nil, "local %d is not among the %d there are", n, s.b.locals)
		}
	case global:
		s.m.globalIndex(r)
	case function:
		f := r.u32()
		if t, ok := s.m.Signature(f); ok {
			s.call(t)
			s.b.calls = append(s.b.calls, f)
		} else {
			r.failAt(at, nil, "function %d is not among the %d there are", f, len(s.m.typeOf))
		}
	case indirect:
		if t := s.m.typeIndex(r); r.ok() {
			s.call(s.m.types[t])
			_ = r.u32() // the table
			s.edit(at, dive, 0)
			s.edit(r.at, rise, 0)
		}
	case refFunc:
		f := r.u32()
		if int64(f) == s.m.start && !s.m.declared {
			// The compiler would take the export of the start function for a declaration.
			r.failAt(at, nil, "function %d is not declared, ref.func cannot take its address", f)
		}
	case blockType:
		s.open(op, at)
	case label, labels:
		s.branch(op, at)
	}
}

func (s *scan) call(t Signature) {
	s.pop(len(t.Params))
	s.push(len(t.Results))
}

func (s *scan) cost(n uint32) {
	if f := &s.control[len(s.control)-1]; !f.dead {
		s.pieces[len(s.pieces)-1].cost += n
	}
}

// pop takes operands off the stack. Whether they are there is for the compiler to check; here the height only bounds the
// size of a call's frame.
func (s *scan) pop(n int) {
	s.height = max(s.height-n, s.control[len(s.control)-1].base)
}

func (s *scan) push(n int) {
	s.height += n
	s.highest = max(s.highest, s.height)
}
