//go:build toolchains

package lua

import (
	"os"
	"os/exec"
	"testing"
)

// TestARebuiltEngineBehavesAsTheCommittedOne builds the engine from source and runs the tests again on it. It needs clang-19
// and cargo.
func TestARebuiltEngineBehavesAsTheCommittedOne(t *testing.T) {
	if out, err := exec.Command("make", "-C", "engine").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	committed := Engine
	defer func() { Engine = committed }()
	var err error
	if Engine, err = os.ReadFile("engine/build/lua.wasm"); err != nil {
		t.Fatal(err)
	}
	t.Run("functions", TestAScriptFiltersAndMaps)
	t.Run("errors", TestAnErrorCostsItsRecordAndSaysWhere)
	t.Run("throws", TestWhatIsThrownCanBeCaught)
	t.Run("runaways", TestARunawayCostsItsRecord)
	t.Run("JSON", TestJSONIsReadAndWrittenAsGoDoes)
}
