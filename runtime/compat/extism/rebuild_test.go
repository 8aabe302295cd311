//go:build toolchains

package extism

import (
	"os/exec"
	"testing"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guests from source, with the PDK from its registry, and runs the tests
// again on them. It needs clang-19 and Rust with wasm32-wasip1.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	out, err := exec.Command("make", "-C", "..", "build/extism/odd.wasm", "build/extism/http.wasm", "build/extism/user.wasm", "build/extism/rust.wasm").CombinedOutput()
	if err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/extism/"
	defer func() { guests = "testdata/" }()
	t.Run("PDK", TestAPluginOfThePDKRunsUnchanged)
	t.Run("filter", TestAFilterAnswersTrueOrFalse)
	t.Run("failures", TestAFailureCostsItsRecord)
	t.Run("wire", TestTheWireIsAsExtismHasIt)
	t.Run("imports", TestWhatIsNotOfferedIsRefusedByName)
}
