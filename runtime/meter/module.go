package meter

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// The sections.
const (
	customSection = iota
	typeSection
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elementSection
	codeSection
	dataSection
	dataCountSection
	tagSection
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code",
	"data", "data count", "tag"}

// itemNames are what is in them.
var itemNames = [...]string{typeSection: "types", importSection: "imports", functionSection: "functions", tableSection: "tables",
	memorySection: "memories", globalSection: "globals", exportSection: "exports", elementSection: "elements", codeSection: "functions",
	dataSection: "data segments"}

// rank gives each section its place in the file; 0 is anywhere.
var rank = [...]int{customSection: 0, typeSection: 1, importSection: 2, functionSection: 3, tableSection: 4, memorySection: 5,
	tagSection: 6, globalSection: 7, exportSection: 8, startSection: 9, elementSection: 10, dataCountSection: 11, codeSection: 12, dataSection: 13}

// Module is a module that keeps to the caps.
type Module struct {
	Imports []Import
	Exports []Export
	Nearest Nearest

	raw      []byte
	caps     Caps
	sections []section
	types    []Signature
	typeOf   []uint32 // of each function, imported ones first
	imported int      // functions
	globals  int
	start    int64 // the start function, or -1
	named    bool
	tables   []limits
	memories []limits
	elements int
	taken    []uint32 // functions whose address globals and elements take
	declared bool     // the start function is one of these, or exported
	bodies   []body
	changes  int // of all bodies
	scan     scan
	items    [dataCountSection + 1]int // of the vectors that Metered adds to
}

// section is where a section lies, without its header; body is where its items begin.
type section struct {
	id             byte
	from, to, body int
}

// limits are the bounds of a table or memory.
type limits struct {
	min, max uint32
	bounded  bool
	imported bool
}

// Read takes a module apart and checks it against the caps. It allocates in proportion to the bytes that are there, not to
// what they claim. Whether the module is valid beyond that is for the compiler to say. The error is an *Error.
func Read(wasm []byte, caps Caps) (*Module, error) {
	m := &Module{raw: wasm, caps: caps, start: -1}
	r := &reader{b: wasm, end: len(wasm), function: -1, nearest: &m.Nearest}
	m.readHeader(r)
	last := 0
	for r.more() {
		last = m.readSection(r, last)
	}
	if r.ok() && len(m.bodies) != len(m.typeOf)-m.imported {
		r.fail(nil, "%d functions are declared, and %d have bodies", len(m.typeOf)-m.imported, len(m.bodies))
	}
	if !r.ok() {
		return nil, r.err
	}
	m.scan = scan{}
	return m, nil
}

func (m *Module) readHeader(r *reader) {
	switch {
	case len(r.b) == 0:
		r.fail(ErrNotWasm, "not WebAssembly: the file is empty")
	case !strings.HasPrefix("\x00asm", string(r.b[:min(4, len(r.b))])):
		r.fail(ErrNotWasm, "not WebAssembly")
	case len(r.b) < 8:
		r.fail(ErrTruncated, "truncated: %d bytes are less than a header", len(r.b))
	case r.over(uint64(len(r.b)), uint64(m.caps.ModuleBytes), "bytes"):
	default:
		switch v := binary.LittleEndian.Uint32(r.b[4:]); v {
		case 1:
		case 0x1000d:
			r.fail(ErrComponent, "%v", ErrComponent)
		default:
			r.fail(ErrNotWasm, "not WebAssembly: its version is %#x, not 1", v)
		}
	}
	r.skip(8)
}

func (m *Module) readSection(r *reader, last int) int {
	start := r.at
	id := r.byte()
	if id == tagSection {
		r.unsupported("exceptions")
	}
	if int(id) >= len(sectionNames) {
		r.failAt(start, nil, "section %d is unknown", id)
		return last
	}
	r.section = sectionNames[id]
	size := r.u32()
	s := section{id: id, from: r.at}
	r.skip(uint64(size))
	s.to = r.at
	if rank[id] != 0 && rank[id] <= last {
		r.failAt(start, nil, "the section is doubled, or out of order")
	}
	if !r.ok() {
		return last
	}
	in := *r
	in.at, in.end = s.from, s.to
	m.items[min(int(id), dataCountSection)] = m.readItems(&in, id)
	s.body = in.at
	if id != customSection {
		s.body = bodyOf(wasmVector{r.b, s.from, s.to})
	}
	if in.ok() && id != customSection && in.at != s.to {
		in.fail(nil, "%d bytes are left over", s.to-in.at)
	}
	if r.err = in.err; r.err != nil {
		r.at = r.end
	}
	m.keep(r, s)
	r.section = ""
	return max(last, rank[id])
}

// keep notes a section that Metered writes. Of the custom ones, of which there may be millions, that is the one with the names.
func (m *Module) keep(r *reader, s section) {
	if s.id == customSection {
		if !bytes.HasPrefix(r.b[s.from:s.to], []byte(namesPrefix)) {
			return
		}
		if m.named {
			r.failAt(s.from, nil, "there are two sections of names")
		}
		m.named = true
	}
	m.sections = append(m.sections, s)
}

// wasmVector is a section that begins with a count.
type wasmVector struct {
	b        []byte
	from, to int
}

// bodyOf returns where the items begin, after the count.
func bodyOf(v wasmVector) int {
	at := v.from
	for at < v.to && v.b[at] >= 0x80 {
		at++
	}
	return min(at+1, v.to)
}

// readItems reads one section, and returns how many items it has.
func (m *Module) readItems(r *reader, id byte) (n int) {
	switch id {
	case customSection:
		_ = r.name()
		r.at = r.end
	case startSection:
		m.start = int64(r.u32())
		if t, ok := m.Signature(uint32(m.start)); r.ok() && (!ok || len(t.Params)+len(t.Results) > 0) {
			r.fail(nil, "function %d cannot be the start function", m.start)
		}
	case dataCountSection:
		_ = r.u32()
	default:
		if id == codeSection {
			m.declared = m.declares(m.start)
		}
		limit, read := m.vector(id)
		n = r.count(limit, itemNames[id])
		for i := 0; i < n && r.ok(); i++ {
			read(r)
		}
	}
	return n
}

// vector returns the cap of a section's items and what reads one.
func (m *Module) vector(id byte) (limit int, read func(*reader)) {
	switch id {
	case typeSection:
		return m.caps.Types, m.readType
	case importSection:
		return m.caps.Imports, m.readImport
	case functionSection:
		return m.caps.Functions, m.readFunction
	case tableSection:
		return m.caps.Tables, func(r *reader) { m.readTable(r, false) }
	case memorySection:
		return 1, func(r *reader) { m.readMemory(r, false) }
	case globalSection:
		return m.caps.Globals, m.readGlobal
	case exportSection:
		return m.caps.Exports, m.readExport
	case elementSection:
		return m.caps.Elements, m.readElement
	case codeSection:
		return m.caps.Functions, m.readBody
	}
	return m.caps.DataSegments, m.readData
}

func (m *Module) readType(r *reader) {
	switch b := r.byte(); b {
	case 0x60:
	case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
		r.unsupported("a type of the garbage collection proposal")
	default:
		r.fail(nil, "%#x does not begin a type", b)
	}
	var s Signature
	for _, list := range []*[]byte{&s.Params, &s.Results} {
		n := r.count(m.caps.Params, "parameters or results")
		for i := 0; i < n && r.ok(); i++ {
			*list = append(*list, r.valueType())
		}
	}
	m.types = append(m.types, s)
}

func (m *Module) readImport(r *reader) {
	im := Import{Module: r.name(), Name: r.name(), Kind: Kind(r.byte())}
	switch im.Kind {
	case Func:
		t := m.typeIndex(r)
		if r.ok() {
			im.Type = m.types[t]
			m.typeOf = append(m.typeOf, t)
			m.imported++
		}
	case Table:
		m.readTable(r, true)
	case Memory:
		m.readMemory(r, true)
	case Global:
		m.readGlobalType(r)
	case 4:
		r.unsupported("exceptions")
	default:
		r.fail(nil, "the import %q.%q is of the unknown kind %d", im.Module, im.Name, im.Kind)
	}
	m.Imports = append(m.Imports, im)
}

func (m *Module) typeIndex(r *reader) uint32 {
	t := r.u32()
	if r.ok() && int64(t) >= int64(len(m.types)) {
		r.fail(nil, "type %d is not among the %d there are", t, len(m.types))
		return 0
	}
	return t
}

func (m *Module) readFunction(r *reader) { m.typeOf = append(m.typeOf, m.typeIndex(r)) }

// declares says whether an element, a global or an export names a function.
func (m *Module) declares(f int64) bool {
	return slices.ContainsFunc(m.taken, func(t uint32) bool { return int64(t) == f }) ||
		slices.ContainsFunc(m.Exports, func(e Export) bool { return e.Kind == Func && int64(e.Index) == f })
}

func (m *Module) readTable(r *reader, imported bool) {
	switch t := r.byte(); t {
	case funcref, externref:
	case 0x40:
		r.unsupported("tables with an initial value")
	default:
		r.unsupported("tables of typed references")
	}
	l := m.readLimits(r, imported)
	r.over(uint64(l.min), uint64(m.caps.TableEntries), "table entries")
	m.tables = append(m.tables, l)
	r.over(uint64(len(m.tables)), uint64(m.caps.Tables), "tables")
}

func (m *Module) readMemory(r *reader, imported bool) {
	l := m.readLimits(r, imported)
	r.over(uint64(l.min), uint64(m.caps.MemoryPages), "pages of memory at the start")
	if l.bounded && l.max > maxPages {
		r.fail(nil, "%d pages are more than a memory can have", l.max)
	}
	if m.memories = append(m.memories, l); len(m.memories) > 1 {
		r.unsupported("several memories")
	}
}

// maxPages is the whole address space.
const maxPages = 1 << 16

func (m *Module) readLimits(r *reader, imported bool) limits {
	l := limits{imported: imported}
	switch flags := r.byte(); {
	case flags&2 != 0:
		r.unsupported("threads: a shared memory or table")
	case flags&4 != 0:
		r.unsupported("memory64")
	case flags&8 != 0:
		r.unsupported("custom page sizes")
	case flags > 1:
		r.fail(nil, "%#x are no flags of limits", flags)
	default:
		l.bounded = flags == 1
	}
	l.min = r.u32()
	if l.bounded {
		l.max = r.u32()
	}
	return l
}

func (m *Module) readGlobalType(r *reader) {
	_ = r.valueType()
	if b := r.byte(); b > 1 {
		r.fail(nil, "%d does not say whether a global is mutable", b)
	}
	m.globals++
}

func (m *Module) readGlobal(r *reader) {
	m.readGlobalType(r)
	m.readConstant(r)
}

// readConstant reads the expression that gives an initial value.
func (m *Module) readConstant(r *reader) {
	switch op := r.byte(); op {
	case opI32Const:
		r.signed(5)
	case opI64Const:
		r.signed(10)
	case opF32Const:
		r.skip(4)
	case opF64Const:
		r.skip(8)
	case opGlobalGet:
		m.globalIndex(r)
	case opRefNull:
		_ = r.valueType()
	case opRefFunc:
		m.taken = append(m.taken, r.u32())
	case prefixSIMD:
		if op := r.vector(); op != simdConst {
			r.fail(nil, "instruction %#x %d is not constant", prefixSIMD, op)
		}
		r.skip(16)
	default:
		r.fail(nil, "instruction %#x is not constant", op)
	}
	if b := r.byte(); b != opEnd && r.ok() {
		r.unsupported("extended constant expressions")
	}
}

func (m *Module) globalIndex(r *reader) {
	// The compiler checks the index too, but in the module with two globals more.
	if g := r.u32(); r.ok() && int64(g) >= int64(m.globals) {
		r.fail(nil, "global %d is not among the %d there are", g, m.globals)
	}
}

func (m *Module) readExport(r *reader) {
	e := Export{Name: r.name(), Kind: Kind(r.byte()), Index: r.u32()}
	switch {
	case e.Name == FuelExport || e.Name == DepthExport || e.Name == StartExport:
		r.fail(nil, "the export %s has a name that is reserved", e.Name)
	case e.Kind > Global:
		r.fail(nil, "the export %q is of the unknown kind %d", e.Name, e.Kind)
	case e.Kind == Global && int64(e.Index) >= int64(m.globals):
		r.fail(nil, "the export %q names global %d of %d", e.Name, e.Index, m.globals)
	}
	m.Exports = append(m.Exports, e)
}

func (m *Module) readElement(r *reader) {
	flags := r.u32()
	if flags > 7 {
		r.fail(nil, "%d are no flags of an element segment", flags)
	}
	active, explicit, expressions := flags&1 == 0, flags&2 != 0, flags&4 != 0
	if active && explicit {
		_ = r.u32() // the table
	}
	if active {
		m.readConstant(r)
	}
	if !active || explicit {
		_ = r.byte() // kind or type of the elements
	}
	n := r.count(m.caps.Elements, "elements")
	m.elements += n
	r.over(uint64(m.elements), uint64(m.caps.Elements), "elements")
	for i := 0; i < n && r.ok(); i++ {
		if expressions {
			m.readConstant(r)
		} else {
			m.taken = append(m.taken, r.u32())
		}
	}
}

func (m *Module) readData(r *reader) {
	flags := r.u32()
	if flags > 2 {
		r.fail(nil, "%d are no flags of a data segment", flags)
	}
	if flags == 2 {
		_ = r.u32() // the memory
	}
	if flags != 1 {
		m.readConstant(r)
	}
	r.skip(uint64(r.u32()))
}

// Signature returns the type of a function.
func (m *Module) Signature(function uint32) (Signature, bool) {
	if int64(function) >= int64(len(m.typeOf)) {
		return Signature{}, false
	}
	return m.types[m.typeOf[function]], true
}

// Exported returns the type of an exported function.
func (m *Module) Exported(name string) (Signature, bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == Func {
			return m.Signature(e.Index)
		}
	}
	return Signature{}, false
}

// ImportsFrom says whether anything is imported from a module.
func (m *Module) ImportsFrom(module string) bool {
	return slices.ContainsFunc(m.Imports, func(i Import) bool { return i.Module == module })
}
