// Package py runs scripts in Python: a .py file is a plugin. The engine is a Python for WASI that the user names with its
// digest; it runs as a command that lives on, under the limits of any other guest.
package py

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/runtime/script"
)

//go:embed harness.py
var harness string

// Script is a script with the neighbours that it imports. It is the Dialect of the engine that runs it; the zero value is
// the dialect without one.
type Script struct {
	// Bytes hands values to the script as bytes each, instead of what their JSON stands for.
	Bytes bool

	name   string // of the author's file
	files  []script.File
	digest string
}

// module is one file of a script, as the harness is handed it.
type module struct {
	Name string `json:"name"`
	File string `json:"file"`
	Text string `json:"text"`
}

// Digest names the source: see script.Digests.
func (s *Script) Digest() string { return s.digest }

// Name implements runtime.Dialect.
func (s *Script) Name() string { return "py" }

// Speaks implements runtime.Dialect. A script is named by its file, the engine is never found among modules.
func (s *Script) Speaks(*meter.Module) bool { return false }

// Check implements runtime.Dialect.
func (s *Script) Check(m *meter.Module) error {
	if s.files == nil {
		return errors.New("a script is named by its file: write py: FILE")
	}
	if _, ok := m.Exported("_start"); !ok {
		return errors.New("the engine of a script in Python is a WASI command, which exports _start; this module does not")
	}
	return nil
}

// Functions implements runtime.Dialect: WASI is all that it needs.
func (s *Script) Functions() []runtime.HostFunction { return nil }

// LooksUp implements runtime.Looker.
func (s *Script) LooksUp() {}

// Defaults implements runtime.Frugal. The engine's file is larger than others may be: whoever reads it holds it against
// its digest. Its fuel is that of a recursion that CPython ends by itself, and tells in full.
func (s *Script) Defaults() runtime.Limits {
	return runtime.Limits{Fuel: 400_000_000, Depth: 10_000, Large: true}
}

// StartFuel implements runtime.SlowStarter: a Python starts with three and a half billion units or so, and then there is the script.
func (s *Script) StartFuel() int64 { return 8_000_000_000 }

// Open implements runtime.Dialect.
func (s *Script) Open(h *runtime.Host) (runtime.Session, error) {
	modules := make([]module, len(s.files))
	for i, f := range s.files {
		modules[i] = module{strings.TrimSuffix(f.Name, extension), f.Name, f.Text}
	}
	start, err := json.Marshal(struct {
		Name    string   `json:"name"`
		Modules []module `json:"modules"`
		Config  string   `json:"config"`
		Bytes   bool     `json:"bytes"`
	}{modules[0].Name, modules, string(h.Config()), s.Bytes})
	if err != nil {
		return nil, fmt.Errorf("writing the script for its engine: %w", err)
	}
	return &session{script: s, host: h, first: start}, nil
}

// Engine reads an engine, and holds it against the digest that the user has named; "" is any, for trying things out.
func Engine(file, digest string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the engine of a script in Python: %w", err)
	}
	if sum := sha256.Sum256(b); digest != "" && hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("the engine %s: %w: it is %x, %s is wanted", file, runtime.ErrDigest, sum, digest)
	}
	return b, nil
}
