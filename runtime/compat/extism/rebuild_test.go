//go:build toolchains

package extism

import (
	"os/exec"
	"testing"

	"github.com/streamproc/streamproc/runtime"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guests from source, with the PDKs from their registries, and runs the tests
// again on them. It needs clang-19, Rust with
// wasm32-wasip1 and Go.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	make := []string{"-C", ".."}
	for _, module := range []string{"odd", "http", "user", "rust", "go"} {
		make = append(make, "build/extism/"+module+".wasm")
	}
	if out, err := exec.Command("make", make...).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/extism/"
	defer func() { guests = "testdata/" }()
	t.Run("PDK", TestAPluginOfThePDKRunsUnchanged)
	t.Run("filter", TestAFilterAnswersTrueOrFalse)
	t.Run("failures", TestAFailureCostsItsRecord)
	t.Run("wire", TestTheWireIsAsExtismHasIt)
	t.Run("requests", TestARequestCostsItsRecord)
	t.Run("imports", TestWhatIsNotOfferedIsRefusedByName)
	t.Run("Go", func(t *testing.T) {
		g := guest(t, "go", runtime.Transform, `{"config":{"greeting":"hi"}}`)
		check(t, g, []string{"a", "config", "error", "count", "count", "panic", "b", ""},
			"A", "hi", "!error as it was told", "1", "2", "!it wrote: panic: as it was told", "B", "filtered")
	})
}
