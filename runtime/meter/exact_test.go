package meter

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// exactly makes each instruction pay for itself, where it is: what is to be paid, without regions.
func (m *Module) exactly(t *testing.T) []byte {
	for i := range m.bodies {
		b := &m.bodies[i]
		edits := []edit{{at: b.code, kind: pay}}
		own := m.instructions(t, i)
		for _, e := range own {
			edits = append(edits, e)
		}
		for _, e := range b.edits {
			if e.kind.byLength() || e.kind == leave {
				e.depth = own[e.at].depth
				edits = append(edits, e)
			}
		}
		sortEdits(edits[1:])
		b.edits = edits
	}
	return m.Metered()
}

// instructions are those of a body, each with an edit that pays for it alone.
func (m *Module) instructions(t *testing.T, i int) map[int]edit {
	out := map[int]edit{}
	b := m.bodies[i]
	s := scan{m: m, r: &reader{b: m.raw, at: b.code, end: b.to, function: -1}, b: &body{locals: b.locals}}
	s.enter(opBlock, 0, len(m.resultsOf(i)))
	for len(s.control) > 0 {
		at, table := s.r.at, plain
		op := uint32(m.raw[at])
		switch op {
		case prefixMisc:
			table = misc
		case prefixSIMD:
			table = simd
		}
		if op == prefixMisc || op == prefixSIMD {
			in := reader{b: m.raw, at: at + 1, end: b.to}
			op = in.u32()
		}
		out[at] = edit{at, pay, uint32(table[op].cost), uint32(len(s.control))}
		if s.step(); !s.r.ok() {
			t.Fatal(s.r.err)
		}
	}
	return out
}

// counted makes each region pay one unit, whatever it costs: how many were entered.
func (m *Module) counted() []byte {
	for i := range m.bodies {
		edits := m.bodies[i].edits[:0]
		for _, e := range m.bodies[i].edits {
			switch e.kind {
			case pay, payAndCheck, closeTurn:
				e.value = 1
			case payBytes, payEntries, payPages, payTable:
				continue
			}
			edits = append(edits, e)
		}
		m.bodies[i].edits = edits
	}
	return m.Metered()
}

// regions runs a module metered, with each instruction paying for itself, and with each region paying one.
type regions struct{ metered, exact, counted api.Module }

func (e *engines) regions(t *testing.T, wasm []byte) regions {
	read := func() *Module {
		t.Helper()
		m, err := Read(wasm, Default())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	return regions{e.start(t, read().Metered()), e.start(t, read().exactly(t)), e.start(t, read().counted())}
}

// call says what was paid, what of that ran, and how many regions were entered.
func (r regions) call(ctx context.Context, name string, args ...uint64) (paid, ran, entered int64, err error) {
	run := func(m api.Module) int64 {
		refill(m)
		_, err = m.ExportedFunction(name).Call(ctx, args...)
		return specFuel - int64(m.ExportedGlobal(FuelExport).Get())
	}
	return run(r.metered), run(r.exact), run(r.counted), err
}

// TestWhatRunsIsPaidAndLittleElse compares regions with instructions that each pay for themselves: no region is paid too little, and
// each at most 600 units too much.
func TestWhatRunsIsPaidAndLittleElse(t *testing.T) {
	t.Parallel()
	e := newEngines(t)
	returned := 0
	for seed := range uint64(100) {
		r := e.regions(t, generate(seed))
		for f := range programFuncs {
			name := fmt.Sprintf("f%d", f)
			args := make([]uint64, len(r.metered.ExportedFunction(name).Definition().ParamTypes()))
			paid, ran, entered, err := r.call(t.Context(), name, args...)
			if paid < ran || err == nil && paid > ran+600*entered {
				t.Errorf("program %d, %s: %d units were paid, %d ran, in %d regions, error %v", seed, name, paid, ran, entered, err)
			}
			if err == nil {
				returned++
			}
		}
	}
	if returned < 200 {
		t.Errorf("%d calls returned: the programs say little", returned)
	}
}
