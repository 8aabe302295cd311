package meter

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
)

func TestStructureIsRefusedByName(t *testing.T) {
	for _, c := range hostile.Structure() {
		t.Run(c.Name, func(t *testing.T) {
			m, err := Read(c.Module, Default())
			var e *Error
			switch {
			case c.Want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case c.Want == "":
				if err := readsAgain(m); err != nil {
					t.Errorf("the metered module does not read: %v", err)
				}
			case !errors.As(err, &e) || !strings.Contains(err.Error(), c.Want):
				t.Errorf("error is %v, want one with %q", err, c.Want)
			case e.Offset < 0 || e.Offset > len(c.Module):
				t.Errorf("offset %d is not in the file", e.Offset)
			}
		})
	}
}

// TestALieAllocatesNothing reads files of some bytes that announce gigabytes.
func TestALieAllocatesNothing(t *testing.T) {
	lies := hostile.Lies()
	for _, c := range hostile.Structure() {
		if c.Want != "" && len(c.Module) <= 1<<10 {
			lies = append(lies, c)
		}
	}
	for _, c := range lies {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(c.Module, Default())
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 1<<20 {
			t.Errorf("%s: %d bytes were allocated for %d, error is %v", c.Name, grown, len(c.Module), err)
		}
	}
}

// TestEachCapIsKeptToTheLast has one less than each cap, as many, and one more.
func TestEachCapIsKeptToTheLast(t *testing.T) {
	for _, c := range hostile.Sizes() {
		for n := c.Most - 1; n <= c.Most; n++ {
			if _, err := Read(c.Module(n), Default()); err != nil {
				t.Errorf("%d %s: %v", n, c.Name, err)
			}
		}
		_, err := Read(c.Module(c.Most+1), Default())
		if want := fmt.Sprintf("%d %s are over the limit of %d", c.Most+1, c.Name, c.Most); !errors.Is(err, ErrCap) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

// TestMeteringNestsAFewBlocksMore has as many loops within each other as there may be.
func TestMeteringNestsAFewBlocksMore(t *testing.T) {
	nested := Default().Nesting
	turn := hostile.Code(hostile.Const(0), hostile.BrIf, 0, hostile.End)
	m, err := Read(hostile.Function(0, hostile.Code(hostile.Repeat(nested, hostile.Code(hostile.Loop, hostile.Empty)), hostile.Repeat(nested, turn))), Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := readsAgain(m); err != nil {
		t.Error(err)
	}
}

// TestMemoryEndsAtTheCap grows memories that have no maximum, one below the cap, and one above.
func TestMemoryEndsAtTheCap(t *testing.T) {
	const limit = 5
	caps := Default()
	caps.MemoryPages = limit
	for most, end := range map[int64]int32{-1: limit, limit - 1: limit - 1, limit: limit, limit + 1: limit} {
		var m hostile.Module
		m.Memory(1, most)
		m.Export("grow", m.Func(":i", 0, hostile.Code(hostile.Loop, hostile.Empty, hostile.Const(1), hostile.MemoryGrow, 0, hostile.Const(-1), hostile.I32Ne,
			hostile.BrIf, 0, hostile.End, hostile.MemorySize, 0)))
		if pages := newEngines(t).spender(t, &m, caps).ask("grow"); pages != end {
			t.Errorf("a memory of at most %d pages ends at %d, not %d", most, pages, end)
		}
	}
}

// TestTheStartFunctionIsLeftToTheHost: the engine does not run it, and it pays as any other.
func TestTheStartFunctionIsLeftToTheHost(t *testing.T) {
	var m hostile.Module
	m.Memory(1, 1)
	m.Start(m.Func(":", 0, hostile.Code(hostile.Const(0), hostile.Const(7), hostile.I32Store, 2, 0)))
	s := newEngines(t).spender(t, &m, Default())
	if stored, _ := s.Memory().ReadUint32Le(0); stored != 0 {
		t.Error("the engine has run it")
	}
	left, _, err := s.call(StartExport, 10, specDepth)
	if stored, _ := s.Memory().ReadUint32Le(0); err != nil || left != 6 || stored != 7 {
		t.Errorf("the host has run it: %d units are left of 10, it stored %d, error %v", left, stored, err)
	}
}

// TestOfCustomSectionsTheNamesRemain, those of functions and of the module, if none is longer than a trap should tell.
func TestOfCustomSectionsTheNamesRemain(t *testing.T) {
	text := func(n int) []byte { return hostile.Code(hostile.U(uint64(n)), []byte(strings.Repeat("n", n))) }
	for _, n := range []int{0, nameLimit - 1, nameLimit, nameLimit + 1} {
		for part, name := range map[string][]byte{
			"a module":   hostile.Section(moduleName, text(n)),
			"a function": hostile.Section(functionNames, hostile.Code(2, 0, text(1), 1, text(n))),
		} {
			locals := hostile.Section(2, hostile.Code(1, 0, 1, 0, text(n)))
			others := hostile.Section(0, hostile.Code(6, []byte("others")))
			whole := hostile.Section(0, hostile.Code([]byte(namesPrefix), name, locals))
			m, err := Read(hostile.Code(hostile.Function(0, nil), others, whole), Default())
			if err != nil {
				t.Fatal(err)
			}
			out := m.Metered()
			want := hostile.Section(0, hostile.Code([]byte(namesPrefix), name))
			if kept := bytes.HasSuffix(out, want); kept != (n <= nameLimit) || !kept && bytes.Contains(out, []byte(namesPrefix)) || bytes.Contains(out, others) {
				t.Errorf("a name of %d bytes, of %s, is kept: %v", n, part, kept)
			}
		}
	}
}

const nameLimit = 4 << 10

// TestOtherCustomSectionsTakeNoMemory has as many as there may be in a file.
func TestOtherCustomSectionsTakeNoMemory(t *testing.T) {
	m, err := Read(hostile.Code([]byte(hostile.Header), hostile.Repeat(1_000_000, hostile.Section(0, hostile.Code(0)))), Default())
	if err != nil || len(m.sections) > 0 {
		t.Errorf("%d of them are kept, error %v", len(m.sections), err)
	}
}

// readsAgain reads a metered module, with other names for what is added, and with caps that leave room for that.
func readsAgain(m *Module) error {
	c := Default()
	c.Types += c.Functions
	c.Exports, c.Globals = c.Exports+3, c.Globals+2
	c.Nesting += 1 + 200 + 3*50 // around all, for traps, and around loops
	c.ModuleBytes, c.BodyBytes, c.Locals = 40*c.ModuleBytes, 40*c.BodyBytes, c.Locals+1
	_, err := Read(bytes.ReplaceAll(m.Metered(), []byte("__sp_"), []byte("__re_")), c)
	return err
}
