package meter

import (
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
				if _, err := Read(m.Metered(), widened()); err == nil || !strings.Contains(err.Error(), "reserved") {
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

// widened leaves room for what metering adds.
func widened() Caps {
	c := Default()
	c.Nesting, c.BodyBytes, c.Locals = c.Nesting+2+blocksPerTurn*maxTurns, 4*c.BodyBytes, c.Locals+2
	return c
}
