package workshop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/js"
	"github.com/streamproc/streamproc/runtime/lua"
	"github.com/streamproc/streamproc/runtime/py"
)

// Scripts are the dialects that a script needs.
func Scripts() []runtime.Dialect { return []runtime.Dialect{&js.Script{}, &lua.Script{}, &py.Script{}} }

// Files are the records that a plugin is tried with. What is "" is the file of that name beside the plugin: in.jsonl,
// want.jsonl, and config.json where Options have no configuration.
type Files struct {
	In, Want string
	Update   bool // write what comes out as what is wanted
}

// OpenBeside is Open with the configuration beside the plugin, unless there is one in o.
func OpenBeside(ctx context.Context, file string, o Options) (p *Plugin, err error) {
	if o.Config == nil {
		if o.Config, err = ConfigBeside(file); err != nil {
			return nil, err
		}
	}
	return Open(ctx, file, o)
}

// Compare runs a plugin, which was opened from file, over its records, and returns how what comes out differs from what is
// wanted; "" if it does not.
func Compare(ctx context.Context, p *Plugin, file string, f Files) (difference string, err error) {
	records, err := ReadFile(cmp.Or(f.In, Beside(file, "in.jsonl")))
	if err != nil {
		return "", err
	}
	lines, err := p.Run(ctx, records)
	if err != nil {
		return "", err
	}
	var got strings.Builder
	for _, l := range lines {
		got.WriteString(l.String() + "\n")
	}
	want := cmp.Or(f.Want, Beside(file, "want.jsonl"))
	if f.Update {
		if err := os.WriteFile(want, []byte(got.String()), 0o644); err != nil { //nolint:gosec // records are no secret
			return "", fmt.Errorf("writing what is wanted: %w", err)
		}
		return "", nil
	}
	text, err := os.ReadFile(want)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading what is wanted: %w; --update writes what comes out into it", err)
	}
	if err != nil {
		return "", fmt.Errorf("reading what is wanted: %w", err)
	}
	return string(diff.Diff("wanted", text, "got", []byte(got.String()))), nil
}

// Beside is the file of a name in the folder of a plugin.
func Beside(plugin, name string) string { return filepath.Join(filepath.Dir(plugin), name) }

// ConfigBeside reads the configuration beside a plugin; none is nil.
func ConfigBeside(plugin string) (json.RawMessage, error) {
	config, err := os.ReadFile(Beside(plugin, "config.json"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var text json.RawMessage
	if err := json.Unmarshal(config, &text); err != nil {
		return nil, fmt.Errorf("%s is not JSON: %w", Beside(plugin, "config.json"), err)
	}
	return text, nil
}

// ReadFile reads records from a file; - is stdin.
func ReadFile(name string) ([]Record, error) {
	if name == "-" {
		return ReadRecords(os.Stdin)
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading records: %w; write some into it, one a line, or name another file with --in", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	defer f.Close()
	return ReadRecords(f)
}
