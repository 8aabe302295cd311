//go:build toolchains

package conduit

import (
	"os/exec"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
)

// TestRebuiltGuestsBehaveAsCommitted builds the guest in C from source, and one with the official SDK, which is too large
// to be committed, and runs the tests on them. It needs clang-19 and Go.
func TestRebuiltGuestsBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "-C", "..", "build/conduit/told.wasm", "build/conduit/go.wasm").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	guests = "../build/conduit/"
	defer func() { guests = "testdata/" }()
	t.Run("records", TestAProcessorRunsUnchanged)
	t.Run("failures", TestAFailureCostsItsRecord)
	t.Run("SDK", func(t *testing.T) {
		g := guest(t, "go", runtime.Transform)
		check(t, g, batchOf("first"), "k=first")
		check(t, g, batchOf("a", "drop", "error", "panic", "twice", "nothing", "structured", "rekey", "delete", "null", "", "log"),
			"k=a", "filtered", "!error as it was told", "!trap the processor ended: Processor run panicked: as it was told", "k=twice", "k=twice", "filtered",
			`k={"in":{"a":"b"},"letter":"a","list":[true,null],"n":1.5}`, "new=rekey", "k=null", "k=null deleted:delete", "k=", "k=log")
		check(t, g, batchOf("metadata"), "k=h=1 null= opencdc.collection=in opencdc.createdAt=5000000000 opencdc.readAt=5000000000 opencdc.version=v1 in/0@100 create true added:1")
		check(t, g, batchOf("b", "short", "c"), "k=b", "!contract the processor does not answer the record", "k=c")
	})
}

// BenchmarkSDK is a processor of the SDK that copies each record.
func BenchmarkSDK(b *testing.B) {
	guests = "../build/conduit/"
	defer func() { guests = "testdata/" }()
	guesttest.Time(b, guest(b, "go", runtime.Transform))
}
