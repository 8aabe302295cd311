//go:build toolchains

package command

import (
	"os/exec"
	"testing"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guest from source and runs the tests again on it. It needs clang-19.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "-C", "..", "build/command/lines.wasm").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/command/"
	defer func() { guests = "testdata/" }()
	t.Run("line by line", TestACommandAnswersLineByLine)
	t.Run("failures", TestACommandThatFailsOnALineCostsItsRecord)
	t.Run("once for each batch", TestACommandRunsOnceForEachBatch)
}
