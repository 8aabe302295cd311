// Package js runs scripts: a TypeScript or JavaScript file is a plugin, with nothing to install. The types are taken off
// when it is loaded, and it runs in an engine that is itself a WebAssembly module, under the limits of any other guest.
package js

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sourcemap/sourcemap"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/runtime/script"
	"github.com/tetratelabs/wazero/api"
)

// Script is a compiled script. It is the Dialect of the engine that runs it; the zero value is the dialect without one.
type Script struct {
	// Bytes hands values to the script as a Uint8Array each, instead of what their JSON stands for.
	Bytes bool

	name      string // of the author's file
	program   string
	digest    string
	positions *sourcemap.Consumer
}

// Digest names the source: see script.Digests.
func (s *Script) Digest() string { return s.digest }

// Name implements runtime.Dialect.
func (s *Script) Name() string { return "js" }

// Speaks implements runtime.Dialect. A script is named by its file, the engine is never found among modules.
func (s *Script) Speaks(*meter.Module) bool { return false }

// Check implements runtime.Dialect.
func (s *Script) Check(*meter.Module) error {
	if s.program == "" {
		return errors.New("a script is named by its file: write js: FILE")
	}
	return nil
}

// Functions implements runtime.Dialect: what the engine imports.
func (s *Script) Functions() []runtime.HostFunction {
	none := func(_ runtime.Session, _ api.Module, stack []uint64) { stack[0] = 0 }
	return []runtime.HostFunction{
		{Module: "env", Name: "host_get_timezone_offset", Types: "ii:i", Call: none}, // the time zone is UTC
		{Module: "env", Name: "host_interrupt", Types: ":i", Call: interrupt},
		{Module: "env", Name: "host_promise_rejection", Types: "iii:", Call: func(runtime.Session, api.Module, []uint64) {}},
		{Module: "env", Name: "host_module_normalize", Types: "ii:i", Call: none},
		{Module: "env", Name: "host_module_load", Types: "ii:i", Call: none},
		{Module: "env", Name: "host_call", Types: "iiiii:i", Call: hostCall},
	}
}

// LooksUp implements runtime.Looker.
func (s *Script) LooksUp() {}

// Defaults implements runtime.Frugal: code that branches at every step, as an interpreter does, is charged well above what
// it does, so that 300 M units are 3 to 30 ms; filling memory is charged by what it costs, 100 ms at most. The engine limits its stack by itself.
func (s *Script) Defaults() runtime.Limits { return runtime.Limits{Fuel: 300_000_000, Depth: 10_000} }

// Open implements runtime.Dialect.
func (s *Script) Open(h *runtime.Host) (runtime.Session, error) {
	e, err := newEngine(h.Module)
	if err != nil {
		return nil, err
	}
	return &session{script: s, host: h, engine: e, input: script.Input{Listed: true}}, nil
}

// thrown is what a script threw.
type thrown struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Stack   string `json:"stack"`
}

func (t *thrown) Error() string { return t.Message }

// frame finds "at map (script.js:3:15)" and "at script.js:3:15" in a stack trace of the engine.
var frame = regexp.MustCompile(`at (?:(\S+) \()?` + regexp.QuoteMeta(bundleName) + `:(\d+):(\d+)`)

// explain writes what was thrown in one line, with the place in the author's file.
func (s *Script) explain(t *thrown) string {
	text := t.Message
	if t.Name != "" {
		text = strings.TrimSuffix(t.Name+": "+t.Message, ": ")
	}
	if s.positions == nil {
		return s.name + ": " + text
	}
	for _, m := range frame.FindAllStringSubmatch(t.Stack, -1) {
		line, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		file, _, fromLine, fromColumn, ok := s.positions.Source(line, column-1)
		if !ok {
			continue
		}
		text = fmt.Sprintf("%s:%d:%d: %s", strings.TrimPrefix(file, namespace+":"), fromLine, fromColumn+1, text)
		if m[1] != "" && m[1] != "<anonymous>" && m[1] != "<eval>" {
			text += " (in " + m[1] + ")"
		}
		return text
	}
	return s.name + ": " + text
}
