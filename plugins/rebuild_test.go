//go:build toolchains

package plugins

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/runtime"
)

// TestRebuiltExamplesBehaveAsCommitted builds every example from source. It needs clang-19, Rust with wasm32-wasip1, Go
// and Node (which brings Zig), and fails without them.
func TestRebuiltExamplesBehaveAsCommitted(t *testing.T) {
	if out, err := exec.Command("make", "all").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	modules, err := filepath.Glob("examples/*/*.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules found: %v", err)
	}
	rt, err := runtime.New(context.Background(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close(context.Background())
	for _, m := range modules {
		dir := filepath.Dir(m)
		committed, rebuilt := run(t, rt, file(t, m), dir), run(t, rt, file(t, filepath.Join("build", filepath.Base(m))), dir)
		if committed != rebuilt || strings.TrimSpace(rebuilt) == "" {
			t.Errorf("%s: rebuilt\n%s\ncommitted\n%s", m, rebuilt, committed)
		}
	}
}
