// Package lua runs scripts in Lua 5.4: a .lua file is a plugin, with nothing to install. The engine is a WebAssembly module
// that is carried along (engine/engine.c), and runs under the limits of any other guest.
package lua

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/runtime/script"
	"github.com/tetratelabs/wazero/api"
)

// Engine is the module that runs scripts. See engine/ORIGIN.md.
//
//go:embed engine/lua.wasm
var Engine []byte

// EngineSHA256 is the digest of Engine.
const EngineSHA256 = "459f9bc9a0c785d99c1b18d21ea01c7f41bd090e68686657570420bca9671639"

// extension is that of every file of a script.
const extension = ".lua"

// Script is a script with the neighbours that it requires. It is the Dialect of the engine that runs it; the zero value is
// the dialect without one.
type Script struct {
	// Bytes hands values to the script as they are, instead of what their JSON stands for.
	Bytes bool

	name   string // of the author's file
	files  []script.File
	digest string
}

// Read reads a script, and of the files beside it those that it may require. Nothing outside the script's folder is read,
// whatever it requires or links to.
func Read(file string) (*Script, error) {
	files, digest, err := script.Read(file, extension, required)
	if err != nil {
		return nil, err
	}
	return &Script{name: filepath.Base(file), files: files, digest: digest}, nil
}

// requiring finds what may be a call of require, in text too: a file that is read and not required does no harm.
var requiring = regexp.MustCompile(`\brequire\s*\(?\s*["']([A-Za-z_]\w*)["']`)

// required lists the files that a text may require, if they stand beside it.
func required(text string) (files []string) {
	for _, m := range requiring.FindAllStringSubmatch(text, -1) {
		files = append(files, m[1]+extension)
	}
	return files
}

// Digest names the source: see script.Digests.
func (s *Script) Digest() string { return s.digest }

// Name implements runtime.Dialect.
func (s *Script) Name() string { return "lua" }

// Speaks implements runtime.Dialect. A script is named by its file, the engine is never found among modules.
func (s *Script) Speaks(*meter.Module) bool { return false }

// Check implements runtime.Dialect.
func (s *Script) Check(*meter.Module) error {
	if s.files == nil {
		return errors.New("a script is named by its file: write lua: FILE")
	}
	return nil
}

// Functions implements runtime.Dialect: what the engine imports.
func (s *Script) Functions() []runtime.HostFunction {
	return []runtime.HostFunction{
		{Module: "lua", Name: "protect", Types: "iii:i", Call: protect},
		{Module: "lua", Name: "unwind", Types: ":", Call: func(runtime.Session, api.Module, []uint64) { runtime.Unwind() }},
		{Module: "lua", Name: "find", Types: "ii:i", Call: find},
		{Module: "lua", Name: "take", Types: "i:", Call: take},
		{Module: "lua", Name: "log", Types: "iii:", Call: hostLog},
	}
}

// LooksUp implements runtime.Looker.
func (s *Script) LooksUp() {}

// Defaults implements runtime.Frugal: those of other scripts.
func (s *Script) Defaults() runtime.Limits { return runtime.Limits{Fuel: 300_000_000, Depth: 10_000} }

// Open implements runtime.Dialect.
func (s *Script) Open(h *runtime.Host) (runtime.Session, error) {
	g := &session{script: s, host: h}
	for name, f := range map[string]*api.Function{"_initialize": &g.initialize, "input": &g.input, "state": &g.state, "start": &g.begin, "batch": &g.run} {
		if *f = h.Module.ExportedFunction(name); *f == nil {
			return nil, fmt.Errorf("the module is no engine for scripts in Lua: it has no %s", name)
		}
	}
	return g, nil
}

// source is the script for the engine: the configuration, then the name and the text of each file, the script's first.
func (s *Script) source(config []byte) (b []byte) {
	part := func(text string) { b = append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...) }
	part(string(config))
	for _, f := range s.files {
		part(strings.TrimSuffix(f.Name, extension))
		part(f.Text)
	}
	return b
}

// place puts the name of the script before an error that names no place.
func (s *Script) place(message string) string {
	for _, f := range s.files {
		if strings.HasPrefix(message, f.Name+":") {
			return message
		}
	}
	return s.name + ": " + message
}
