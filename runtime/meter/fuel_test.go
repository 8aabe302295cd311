package meter

import (
	"bytes"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero/api"
)

// spender is a metered module that is given fuel and depth for each call.
type spender struct {
	api.Module
	t           *testing.T
	fuel, depth api.MutableGlobal
}

func (e *engines) spender(t *testing.T, m *hostile.Module, caps Caps) *spender {
	t.Helper()
	read, err := Read(m.Bytes(), caps)
	if err != nil {
		t.Fatal(err)
	}
	s := &spender{Module: e.start(t, read.Metered()), t: t}
	s.fuel, s.depth = s.ExportedGlobal(FuelExport).(api.MutableGlobal), s.ExportedGlobal(DepthExport).(api.MutableGlobal)
	return s
}

// call says what was left of the fuel and the depth that were given.
func (s *spender) call(name string, fuel int64, depth int32, args ...uint64) (fuelLeft int64, depthLeft int32, err error) {
	s.fuel.Set(uint64(fuel))
	s.depth.Set(uint64(uint32(depth)))
	_, err = s.ExportedFunction(name).Call(s.t.Context(), args...)
	return int64(s.fuel.Get()), int32(uint32(s.depth.Get())), err
}

// spends is what a call costs that has plenty.
func (s *spender) spends(name string, args ...uint64) int64 {
	s.t.Helper()
	left, _, err := s.call(name, specFuel, specDepth, args...)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return specFuel - left
}

// ask calls a function that answers with a number of 32 bits.
func (s *spender) ask(name string) int32 {
	s.t.Helper()
	s.fuel.Set(specFuel)
	r, err := s.ExportedFunction(name).Call(s.t.Context())
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return int32(uint32(r[0]))
}

// units is straight code that costs so many of them, two at least.
func units(n int) []byte {
	var odd []byte
	if n%2 == 1 {
		odd, n = hostile.Code(hostile.Const(1), hostile.I32Eqz, hostile.Drop), n-3
	}
	return hostile.Code(odd, hostile.Repeat(n/2, hostile.Code(hostile.Const(1), hostile.Drop)))
}

// The code that tests are made of.
var (
	get       = hostile.Get(0)
	unturned  = hostile.Code(hostile.Loop, hostile.Empty, hostile.Const(0), hostile.BrIf, 0, hostile.End)
	nullRef   = hostile.Code(0xd0, hostile.FuncRef)
	tableGrow = hostile.Code(0xfc, 15, 0)
)

func block(code ...any) []byte {
	return hostile.Code(hostile.Block, hostile.Empty, hostile.Code(code...), hostile.End)
}

func when(condition []byte, code ...any) []byte {
	return hostile.Code(condition, hostile.If, hostile.Empty, hostile.Code(code...), hostile.End)
}

func call(f int) []byte { return hostile.Code(hostile.Call, hostile.U(uint64(f))) }

// through calls a function without parameters and results by its place in the table.
func through(m *hostile.Module, place int64) []byte {
	return hostile.Code(hostile.Const(place), hostile.CallIndirect, hostile.U(uint64(m.Type(":"))), 0)
}

// atHead is code in a loop that pays at its head, since it has a parameter.
func atHead(m *hostile.Module, code []byte) []byte {
	return hostile.Code(hostile.Const(0), hostile.Loop, hostile.U(uint64(m.Type("i:"))), hostile.Drop, code, hostile.Const(0), hostile.Const(0), hostile.BrIf, 0,
		hostile.Drop, hostile.End)
}

// lengthy is an operation that takes as long as it is told, by local 0.
type lengthy struct {
	code  []byte
	shows string // the function whose answer is another when it is done
	price func(n int64) int64
}

func lengths() map[string]lengthy {
	op := func(n int, rest ...any) []byte { return hostile.Code(0xfc, n, hostile.Code(rest...)) }
	fours := func(n int64) int64 { return n / 4 }
	entries := func(n int64) int64 { return n }
	pages := func(n int64) int64 { return n * 4096 }
	const place = 100
	return map[string]lengthy{
		"memory.init": {hostile.Code(hostile.Const(place), hostile.Const(0), get, op(8, 0, 0)), "byte", fours},
		"memory.copy": {hostile.Code(hostile.Const(place), hostile.Const(2000), get, op(10, 0, 0)), "byte", fours},
		"memory.fill": {hostile.Code(hostile.Const(place), hostile.Const(7), get, op(11, 0)), "byte", fours},
		"table.init":  {hostile.Code(hostile.Const(place), hostile.Const(0), get, op(12, 0, 0)), "entry", entries},
		"table.copy":  {hostile.Code(hostile.Const(place), hostile.Const(0), get, op(14, 0, 0)), "entry", entries},
		"table.fill":  {hostile.Code(hostile.Const(place), hostile.RefFunc, 0, get, op(17, 0)), "entry", entries},
		"memory.grow": {hostile.Code(get, hostile.MemoryGrow, 0, hostile.Drop), "pages", pages},
		"table.grow":  {hostile.Code(nullRef, get, tableGrow, hostile.Drop), "entries", entries},
	}
}

const (
	lengthPages, lengthPagesMost     = 2, 20
	lengthEntries, lengthEntriesMost = 400, 1000
)

// withLengths is a module with each of these operations under its name, and what shows what they have done.
func withLengths() *hostile.Module {
	var m hostile.Module
	var all []int
	for range 100 {
		all = append(all, m.Func(":", 0, nil))
	}
	m.Memory(lengthPages, lengthPagesMost)
	m.Table(lengthEntries, lengthEntriesMost)
	m.PassiveElements(all...)
	m.Elements(all...)
	m.PassiveData(bytes.Repeat([]byte{7}, 300))
	for name, l := range lengths() {
		m.Export(name, m.Func("i:", 0, l.code))
	}
	const isNull, load8, tableGet, tableSize = 0xd1, hostile.Load8U, 0x25, 16
	m.Export("byte", m.Func(":i", 0, hostile.Code(hostile.Const(100), load8, 0, 0)))
	m.Export("entry", m.Func(":i", 0, hostile.Code(hostile.Const(100), tableGet, 0, isNull)))
	m.Export("pages", m.Func(":i", 0, hostile.Code(hostile.MemorySize, 0)))
	m.Export("entries", m.Func(":i", 0, hostile.Code(0xfc, tableSize, 0)))
	m.Export("fill the source", m.Func(":", 0, hostile.Code(hostile.Const(2000), hostile.Const(7), hostile.Const(300), 0xfc, 11, 0)))
	return &m
}

// TestALengthIsPaidForBeforeAnythingIsDone gives each operation on a length just what it costs, and one unit less.
func TestALengthIsPaidForBeforeAnythingIsDone(t *testing.T) {
	e := newEngines(t)
	caps := Default()
	caps.MemoryPages, caps.TableEntries = lengthPagesMost, lengthEntriesMost
	for name, l := range lengths() {
		for _, n := range []int64{1, 3, 4, 5, 8, 16} {
			s := e.spender(t, withLengths(), caps)
			s.spends("fill the source")
			before := s.ask(l.shows)
			own := s.spends(name, 0)
			due := own + l.price(n)
			left, _, err := s.call(name, due-1, specDepth, uint64(n))
			if l.price(n) > 0 && (err == nil || left != -1 || s.ask(l.shows) != before) {
				t.Errorf("%s of %d with a unit less than it costs: %d left, error %v, was %d and is %d", name, n, left, err, before, s.ask(l.shows))
			}
			left, _, err = s.call(name, due, specDepth, uint64(n))
			if err != nil || left != 0 || s.ask(l.shows) == before {
				t.Errorf("%s of %d with what it costs: %d left, error %v, was %d and is %d", name, n, left, err, before, s.ask(l.shows))
			}
		}
	}
}

// TestALengthIsPaidForUpToTheLast has lengths that nothing has: growth beyond the limit does not happen, and costs nothing.
func TestALengthIsPaidForUpToTheLast(t *testing.T) {
	e := newEngines(t)
	caps := Default()
	caps.MemoryPages, caps.TableEntries = lengthPagesMost, lengthEntriesMost
	limits := map[string]int64{"memory.grow": lengthPagesMost, "table.grow": lengthEntriesMost}
	for name, l := range lengths() {
		for _, n := range []int64{lengthPagesMost, lengthPagesMost + 1, lengthEntriesMost, lengthEntriesMost + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			s := e.spender(t, withLengths(), caps)
			due := l.price(n)
			if limit, ok := limits[name]; ok && n > limit {
				due = 0
			}
			own := s.spends(name, 0)
			left, _, err := s.call(name, specFuel, specDepth, uint64(n))
			if spent := specFuel - left; spent != own+due {
				t.Errorf("%s of %d costs %d, not %d, error %v", name, n, spent, own+due, err)
			}
		}
	}
}

// TestTheLastUnitIsEnough ends each kind of check with nothing left, and with one unit less than nothing.
func TestTheLastUnitIsEnough(t *testing.T) {
	e := newEngines(t)
	var m hostile.Module
	codes := map[string][]byte{
		"entry": units(200),
		"turn":  hostile.Code(hostile.Loop, hostile.Empty, units(50), countdown(), hostile.BrIf, 0, hostile.End),
		"head": hostile.Code(get, hostile.Loop, hostile.U(uint64(m.Type("i:"))), hostile.Const(1), hostile.I32Sub, hostile.LocalTee, 0, get, hostile.BrIf, 0,
			hostile.Drop, hostile.End),
	}
	for name, code := range codes {
		m.Export(name, m.Func("i:", 0, code))
	}
	s := e.spender(t, &m, Default())
	for name := range codes {
		due := s.spends(name, 3)
		for _, more := range []int64{-1, 0, 1} {
			left, _, err := s.call(name, due+more, specDepth, 3)
			if (err == nil) != (more >= 0) || left != more {
				t.Errorf("%s with %d units of %d: %d left, error %v", name, due+more, due, left, err)
			}
		}
	}
}

// TestPricesAreThoseThatWereMeasured has each price, once; see decision 0007.
func TestPricesAreThoseThatWereMeasured(t *testing.T) {
	var m hostile.Module
	m.Memory(1, 1)
	m.Table(1, 10)
	m.Global()
	one := hostile.Code(0x43, 0, 0, 0x80, 0x3f) // f32.const 1
	void := m.Type(":")
	empty := m.Func(":", 0, nil)
	m.Elements(empty)
	m.PassiveElements(empty)
	m.PassiveData([]byte{1})
	vector := hostile.Code(0xfd, 12, make([]byte, 16))
	three := hostile.Repeat(3, hostile.Const(0))
	due := map[string]int64{}
	export := func(name string, price int64, code ...any) {
		m.Export(name, m.Func(":", 1, hostile.Code(code...)))
		due[name] = price
	}
	export("nothing", 1)
	export("a constant", 2, hostile.Const(1), hostile.Drop)
	export("an addition", 4, hostile.Const(1), hostile.Const(1), hostile.I32Add, hostile.Drop)
	export("a local", 2, get, hostile.LocalSet, 0)
	export("a global", 2, hostile.GlobalGet, 0, hostile.GlobalSet, 0)
	export("a product", 3+1, hostile.Const(1), hostile.Const(1), hostile.I32Mul, hostile.Drop)
	export("a product of floats", 3+4, one, one, 0x94, hostile.Drop)
	export("a division", 3+8, hostile.Const(1), hostile.Const(1), hostile.I32DivS, hostile.Drop)
	export("a division of floats", 3+8, one, one, 0x95, hostile.Drop)
	export("a root", 2+8, one, 0x91, hostile.Drop)
	export("a load", 2+16, hostile.Const(0), hostile.I32Load, 2, 0, hostile.Drop)
	export("a load of a vector", 2+16, hostile.Const(0), 0xfd, 0, 4, 0, hostile.Drop)
	export("a store", 2+2, hostile.Const(0), hostile.Const(0), hostile.I32Store, 2, 0)
	export("a root of a vector", 2+8, vector, 0xfd, hostile.U(239), hostile.Drop)
	export("a product of vectors", 3+4, vector, vector, 0xfd, hostile.U(242), hostile.Drop)
	export("the bits of a vector", 2+4, vector, 0xfd, 98, hostile.Drop)
	export("a load from a table", 2+16, hostile.Const(0), 0x25, 0, hostile.Drop)
	export("the address of a function", 1+255, hostile.RefFunc, 0, hostile.Drop)
	export("a call", 1+4, hostile.Call, 0)
	export("a call through the table", 1+1+6, hostile.Const(0), hostile.CallIndirect, hostile.U(uint64(void)), 0)
	export("a branch", 1, hostile.Br, 0)
	export("a way of three", 3, hostile.Const(0), hostile.BrTable, 1, 0, 0)
	export("memory.init", 3+16, three, 0xfc, 8, 0, 0)
	export("memory.copy", 3+16, three, 0xfc, 10, 0, 0)
	export("memory.fill", 3+32, three, 0xfc, 11, 0)
	export("table.init", 3+16, three, 0xfc, 12, 1, 0)
	export("table.copy", 3+16, three, 0xfc, 14, 0, 0)
	export("table.fill", 3+32, hostile.Const(0), nullRef, hostile.Const(0), 0xfc, 17, 0)
	export("memory.grow", 2+128, hostile.Const(0), hostile.MemoryGrow, 0, hostile.Drop)
	export("table.grow", 3+128, nullRef, hostile.Const(0), tableGrow, hostile.Drop)
	s := newEngines(t).spender(t, &m, Default())
	for name, price := range due {
		if spent := s.spends(name); spent != price {
			t.Errorf("%s costs %d, not %d", name, spent, price)
		}
	}
}

// TestCallsInARowAreChecked calls functions without an end between them that a loop would have: no call may go unnoticed. Each
// costs more than a hundred units, or calls.
func TestCallsInARowAreChecked(t *testing.T) {
	const row, given = 300, 200
	var m hostile.Module
	m.Memory(1, 1)
	empty := m.Func(":", 0, nil)
	m.Table(1, 1)
	m.Elements(empty)
	codes := map[string][]byte{
		"straight":                               units(101),
		"that calls":                             call(empty),
		"that calls through the table":           through(&m, 0),
		"with a part that may be left out":       hostile.Code(hostile.Const(0), hostile.BrIf, 0, heavy()),
		"with an arm":                            when(hostile.Const(1), heavy()),
		"that comes to a loop":                   hostile.Code(units(101), unturned),
		"that comes to the head of a loop":       atHead(&m, units(101)),
		"that leaves one out":                    hostile.Code(units(60), block(hostile.Br, 0, atHead(&m, nil)), units(60)),
		"that leaves one out by an arm":          hostile.Code(units(60), block(when(hostile.Const(1), hostile.Br, 1), atHead(&m, nil)), units(60)),
		"that leaves one out by a branch":        hostile.Code(units(60), block(hostile.Const(1), hostile.BrIf, 0, atHead(&m, nil)), units(60)),
		"that leaves one out by a table":         hostile.Code(units(60), block(hostile.Const(1), hostile.BrTable, 1, 0, 0, atHead(&m, nil)), units(60)),
		"that returns before one":                hostile.Code(units(101), hostile.Return, atHead(&m, nil)),
		"with one in an arm":                     hostile.Code(units(60), when(hostile.Const(0), atHead(&m, nil)), units(60)),
		"with a head that nothing comes back to": hostile.Code(hostile.Const(0), hostile.Loop, hostile.U(uint64(m.Type("i:"))), hostile.Drop, units(120), hostile.End),
		"with a loop that nothing comes back to": hostile.Code(hostile.Loop, hostile.Empty, units(120), hostile.End),
		"that fills nothing":                     hostile.Code(units(101), hostile.Repeat(3, hostile.Const(0)), 0xfc, 11, 0),
	}
	for name, code := range codes {
		m.Export(name, m.Func(":", 0, hostile.Repeat(row, call(m.Func(":", 0, code)))))
	}
	s := newEngines(t).spender(t, &m, Default())
	for name := range codes {
		entry := int64(row * costCall)
		once := (s.spends(name) - entry) / row
		left, _, err := s.call(name, entry+given, specDepth)
		if err == nil || left >= 0 || left < -once {
			t.Errorf("a function %s, of %d units: %d are left of %d, error %v", name, once, left, given, err)
		}
	}
}

// TestOnlyAShortFunctionThatGoesNowhereDoesNotCheck is on both sides of 100 units.
func TestOnlyAShortFunctionThatGoesNowhereDoesNotCheck(t *testing.T) {
	var m hostile.Module
	for name, n := range map[string]int{"99": 99, "100": 100, "101": 101} {
		m.Export(name, m.Func(":", 0, units(n)))
	}
	s := newEngines(t).spender(t, &m, Default())
	for name, checks := range map[string]bool{"99": false, "100": false, "101": true} {
		if _, _, err := s.call(name, 0, specDepth); (err != nil) != checks {
			t.Errorf("of %s units: error %v", name, err)
		}
	}
}

// TestAFunctionThatSoonComesToAHeadDoesNotCheckBefore is on both sides of 600 units, and has what keeps it from coming there at once:
// what it has done by then shows in its memory.
func TestAFunctionThatSoonComesToAHeadDoesNotCheckBefore(t *testing.T) {
	type way struct {
		units  int // before the head
		code   []byte
		checks bool
	}
	var m hostile.Module
	m.Memory(1, 1)
	empty := m.Func(":", 0, nil)
	m.Table(1, 1)
	m.Elements(empty)
	ways := map[string]way{
		"599 units":                    {599, nil, false},
		"600 units":                    {600, nil, false},
		"601 units":                    {601, nil, true},
		"a block":                      {100, block(units(10)), false},
		"a call":                       {100, call(empty), true},
		"a call through the table":     {100, through(&m, 0), true},
		"an arm":                       {100, when(hostile.Const(0), units(10)), true},
		"a branch":                     {100, block(hostile.Const(0), hostile.BrIf, 0), true},
		"a loop that pays as it turns": {100, unturned, true},
		"a fill":                       {100, hostile.Code(hostile.Repeat(3, hostile.Const(0)), 0xfc, 11, 0), true},
	}
	const others = 4 + 1 // for the store, and for what the loop is given
	store := hostile.Code(hostile.Const(0), hostile.Const(7), hostile.I32Store, 2, 0)
	for name, w := range ways {
		m.Export(name, m.Func(":", 0, hostile.Code(units(w.units-others), store, w.code, atHead(&m, nil))))
	}
	s := newEngines(t).spender(t, &m, Default())
	for name, w := range ways {
		s.Memory().WriteUint32Le(0, 0)
		_, _, err := s.call(name, 0, specDepth)
		if stored, _ := s.Memory().ReadUint32Le(0); err == nil || (stored == 0) != w.checks {
			t.Errorf("%s before the head: it stored %d, error %v", name, stored, err)
		}
	}
}

// TestWhatIsSkippedIsPaidForUpTo600 skips code in each way, at 600 units, one less and one more.
func TestWhatIsSkippedIsPaidForUpTo600(t *testing.T) {
	e := newEngines(t)
	branch := func(to int) []byte { return hostile.Code(get, hostile.BrIf, to) }
	skip := func(n int) []byte { return when(hostile.Code(get, hostile.I32Eqz), units(n)) }
	loop := func(code ...any) []byte {
		return hostile.Code(hostile.Loop, hostile.Empty, hostile.Code(code...), hostile.End)
	}
	otherwise := func(then, code []byte) []byte {
		return hostile.Code(get, hostile.If, hostile.Empty, then, hostile.Else, code, hostile.End)
	}
	const part = 300
	for name, shape := range map[string]struct {
		code func(n int) []byte // n units that may be skipped
		run  int                // how many of them run
		over int                // how many are paid for and do not run where they are more than 600
	}{
		"an arm":                      {skip, 0, 0},
		"an else":                     {func(n int) []byte { return otherwise(nil, units(n)) }, 0, 0},
		"behind a branch":             {func(n int) []byte { return block(branch(0), units(n)) }, 0, 0},
		"behind two":                  {func(n int) []byte { return block(branch(0), units(part-2), branch(0), units(n-part)) }, 0, part},
		"behind a branch from within": {func(n int) []byte { return block(block(branch(1)), units(n)) }, 0, 0},
		"behind a branch from far":    {func(n int) []byte { return block(block(block(block(branch(3)))), units(n)) }, 0, 0},
		"behind a return":             {func(n int) []byte { return hostile.Code(when(get, hostile.Return), units(n-1)) }, 1, 0},
		"behind a return in two arms": {func(n int) []byte { return hostile.Code(when(get, when(get, hostile.Return)), units(n-3)) }, 3, 0},
		"behind a branch of two arms": {func(n int) []byte { return block(when(get, when(get, hostile.Br, 2)), units(n-3)) }, 3, 0},
		"behind a branch of an else": {func(n int) []byte {
			return block(when(hostile.Code(get, hostile.I32Eqz), hostile.Nop, hostile.Else, hostile.Br, 1), units(n-1))
		}, 1, 0},
		"behind a table":                {func(n int) []byte { return block(block(get, hostile.BrTable, 1, 0, 1), units(n)) }, 0, 0},
		"behind a branch out of a loop": {func(n int) []byte { return block(loop(branch(1)), units(n)) }, 0, 0},
		"the rest of a turn":            {func(n int) []byte { return loop(get, hostile.Const(0), hostile.LocalSet, 0, hostile.BrIf, 0, units(n)) }, 0, 0},
		"arms":                          {func(n int) []byte { return hostile.Code(skip(part), skip(n-part)) }, 0, part},
		"arms of blocks":                {func(n int) []byte { return hostile.Code(block(skip(part)), block(skip(n-part))) }, 0, 601},
		"arms of loops":                 {func(n int) []byte { return hostile.Code(loop(skip(part)), loop(skip(n-part))) }, 0, 601},
		"arms of a loop that turns":     {func(n int) []byte { return loop(skip(part), loop(skip(n-part), hostile.Const(0), hostile.BrIf, 0)) }, 0, 601},
	} {
		for _, n := range []int{599, 600, 601} {
			var m hostile.Module
			m.Export("run", m.Func("i:", 0, shape.code(n)))
			want := n - shape.run
			if n > 600 {
				want = shape.over
			}
			r := e.regions(t, m.Bytes())
			paid, ran, entered, err := r.call(t.Context(), "run", 1)
			if skipped := paid - ran; err != nil || skipped != int64(want) || skipped > 600*entered {
				t.Errorf("%s: %d of %d units are paid for and do not run, in %d regions, not %d, error %v", name, skipped, n, entered, want, err)
			}
			if paid, ran, entered, err := r.call(t.Context(), "run", 0); err != nil || paid < ran || paid > ran+600*entered {
				t.Errorf("%s, which are not skipped: %d are paid for of %d, in %d regions, error %v", name, paid, ran, entered, err)
			}
		}
	}
}

// TestAPartThatIsLongPaysForItself has four in a row, each of which may be left out with all that follows.
func TestAPartThatIsLongPaysForItself(t *testing.T) {
	part := hostile.Code(get, hostile.BrIf, 0, units(700))
	var m hostile.Module
	m.Export("run", m.Func("i:", 0, block(hostile.Repeat(4, part))))
	r := newEngines(t).regions(t, m.Bytes())
	for arg, parts := range map[uint64]int64{0: 4, 1: 0} {
		paid, ran, entered, err := r.call(t.Context(), "run", arg)
		if err != nil || paid != ran || entered != 1+parts {
			t.Errorf("%d units were paid, %d ran, in %d regions, error %v", paid, ran, entered, err)
		}
	}
}
