package workshop

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/runtime"
)

// TestAnEngineIsHeldToTheDigestBesideIt opens a script with what is no engine at all: one that is not the pinned one is not read.
func TestAnEngineIsHeldToTheDigestBesideIt(t *testing.T) {
	const sum = "bbbf2e56a4b3d9c7bb3a6a7d8c1c6fcb1d3b2f0f6f6f4b6f0c0f2c5d5a1d2e3f"
	for pin, want := range map[string]string{
		sum + "  python.wasm\n":   "is wanted",
		sum + " *python.wasm\r\n": "is wanted",
		sum + "  other.wasm\n":    "has no digest of python.wasm: write what sha256sum prints for it",
		"":                        "has no digest of python.wasm",
		"%":                       "not WebAssembly",
		"none":                    "not WebAssembly",
	} {
		dir := t.TempDir()
		put := func(name, text string) {
			if err := os.WriteFile(Beside(dir+"/x", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("seen.py", "def map(value): return value\n")
		put(EngineName, "no engine")
		right := artifact.Digest([]byte("no engine"))
		if pin != "none" {
			put(PinName, strings.Replace(pin, "%", strings.ToUpper(right)+"  python.wasm", 1))
		}
		var log strings.Builder
		_, err := Open(t.Context(), Beside(dir+"/x", "seen.py"), Options{Dialects: Scripts(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil || !strings.Contains(err.Error(), want) || (want == "is wanted") != errors.Is(err, runtime.ErrDigest) {
			t.Errorf("%q: %v", pin, err)
		}
		if said := strings.Contains(log.String(), "not pinned") && strings.Contains(log.String(), "sha256="+right); said != (pin == "none") {
			t.Errorf("%q: the log has %q", pin, log.String())
		}
	}
}
