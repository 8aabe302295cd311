package workshop

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/runtime/py"
)

// EngineName is that of the file, beside a script in Python, that runs it, and PinName that of the one beside that with its
// digest, as sha256sum prints it.
const (
	EngineName = "python.wasm"
	PinName    = "engine.sha256"
)

// engine reads what runs a script in Python: a file that is named, or the one beside the script. It is held to the digest
// beside it, and without one it is said which it is, as a pipeline will not take any.
func engine(named, plugin string, log *slog.Logger) ([]byte, error) {
	file := cmp.Or(named, Beside(plugin, EngineName))
	pin, err := pinOf(file)
	if err != nil {
		return nil, err
	}
	b, err := py.Engine(file, pin)
	if err == nil && pin == "" && log != nil {
		log.Warn("the engine is not pinned: anything would be run in its place; sha256sum "+filepath.Base(file)+" > "+PinName+" beside it pins it",
			"engine", file, "sha256", artifact.Digest(b))
	}
	return b, err
}

// pinOf is the digest that stands beside an engine, or "".
func pinOf(engine string) (string, error) {
	list := Beside(engine, PinName)
	text, err := os.ReadFile(list)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the digest of the engine: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if sum, name, _ := strings.Cut(strings.TrimSpace(line), " "); strings.TrimLeft(name, " *") == filepath.Base(engine) {
			return strings.ToLower(sum), nil
		}
	}
	return "", fmt.Errorf("%s has no digest of %s: write what sha256sum prints for it", list, filepath.Base(engine))
}

// hasEngine says that the engine beside a script in a folder is the one whose digest is there.
func hasEngine(dir string) bool {
	file := filepath.Join(dir, EngineName)
	pin, err := pinOf(file)
	if err != nil || pin == "" {
		return false
	}
	b, err := artifact.Read(file)
	return err == nil && artifact.Digest(b) == pin
}
