//go:build toolchains

package connect

import (
	"os/exec"
	"testing"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guests from source and runs the tests again on them. It needs clang-19.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "-C", "..", "build/connect/allocate.wasm", "build/connect/malloc.wasm").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/connect/"
	defer func() { guests = "testdata/" }()
	t.Run("messages", TestAModuleReadsAndSetsTheMessage)
	t.Run("failures", TestAFailureCostsItsRecord)
}
