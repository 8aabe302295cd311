//go:build toolchains

package redpanda

import (
	"os/exec"
	"testing"

	"github.com/streamproc/streamproc/runtime"
)

// TestRebuiltGuestsBehaveAsCommitted builds every guest from source, with the SDKs from their registries, and runs the
// tests again on them. It needs clang-19, Rust with wasm32-wasip1 and Go, and fails without them.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "-C", "..", "all").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/redpanda/"
	defer func() { guests = "testdata/" }()
	t.Run("SDK", TestAModuleOfTheSDKRunsUnchanged)
	t.Run("panic", TestAPanicCostsItsRecord)
	t.Run("environment", TestTheEnvironmentIsTheConfigAndTheTopics)
	t.Run("wire", TestTheWireIsAsVersion1HasIt)
	t.Run("Go", func(t *testing.T) {
		g := guest(t, "go", runtime.Source{Outputs: []runtime.Output{{Name: "side", Sink: 7}}})
		check(t, outcome(t, g, batchOf("a", "drop", "panic", "side", "error", "environment", "b")),
			"k a", "filtered", "as it was told", "k side to 7", "as it was told", "k in", "k b")
	})
}
