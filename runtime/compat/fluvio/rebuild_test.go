//go:build toolchains

package fluvio

import (
	"os/exec"
	"testing"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guests from source, with the SDK from its registry, and runs the tests
// again on them. It needs Rust with wasm32-wasip1.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "-C", "..", "all").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/fluvio/"
	defer func() { guests = "testdata/" }()
	t.Run("filter", TestAFilterOfTheSDKRunsUnchanged)
	t.Run("map", TestMapsOfTheSDKRunUnchanged)
	t.Run("aggregate", TestAnAggregateGoesOnInEachPartition)
	t.Run("filter_map", func(t *testing.T) {
		check(t, guest(t, "filter_map"), batchOf("a", "drop", "error", "b"), "new=a", "filtered", "!error as it was told", "new=b")
	})
}
