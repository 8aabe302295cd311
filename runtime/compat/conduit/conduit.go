// Package conduit lets Conduit's standalone processors run unchanged.
//
// Such a processor runs from _start on, and asks for commands, one after the other: command_request waits for one, and
// command_response answers it. The commands are configure, open, process and teardown, in protocol buffers.
package conduit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/pull"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const module = "conduit"

// What the host functions answer in the place of a size.
const (
	noMoreCommands   = math.MaxUint32 - 1
	memoryOutOfRange = math.MaxUint32 - 4
	internalError    = math.MaxUint32 - 5
)

// cookie tells a processor that it was started by its host.
const cookie = "CONDUIT_MAGIC_COOKIE=3stnegqd0x02axggy0vrc4izjeq2zik6g7somyb3ye4vy5iivvjm5s1edppl5oja"

// Dialect is the ABI.
type Dialect struct{}

// Name implements runtime.Dialect.
func (Dialect) Name() string { return "conduit" }

// Speaks implements runtime.Dialect.
func (Dialect) Speaks(m *meter.Module) bool { return m.ImportsFrom(module) }

// Check implements runtime.Dialect.
func (Dialect) Check(m *meter.Module) error {
	if err := runtime.CheckExport(m, "_start", ":", true); err != nil {
		return fmt.Errorf("a Conduit processor runs from _start on: %w", err)
	}
	return nil
}

// Defaults implements runtime.Frugal: the first record of an instance made with the SDK finds out how records are encoded,
// which takes more than others may spend.
func (Dialect) Defaults() runtime.Limits { return runtime.Limits{Fuel: 50_000_000} }

// Functions implements runtime.Dialect.
func (Dialect) Functions() []runtime.HostFunction {
	of := func(name string, call func(*session, api.Memory, []uint64) uint32) runtime.HostFunction {
		return runtime.HostFunction{Module: module, Name: name, Types: "ii:i", Call: func(s runtime.Session, m api.Module, stack []uint64) {
			stack[0] = uint64(call(s.(*session), m.Memory(), stack))
		}}
	}
	refuse := func(what string) func(*session, api.Memory, []uint64) uint32 {
		return func(s *session, _ api.Memory, _ []uint64) uint32 { return s.refuse(what) }
	}
	return []runtime.HostFunction{
		of("command_request", (*session).commandRequest),
		of("command_response", (*session).commandResponse),
		of("create_schema", refuse("a schema registry")),
		of("get_schema", refuse("a schema registry")),
		of("http_request", refuse("HTTP")),
	}
}

// Open implements runtime.Dialect.
func (Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	settings, err := h.Settings()
	if err != nil {
		return nil, fmt.Errorf("the config of a Conduit processor is its parameters, names and values: %w", err)
	}
	return &session{host: h, settings: settings}, nil
}

// session is one processor.
type session struct {
	host     *runtime.Host
	settings map[string]string
	run      *pull.Run
	opened   bool // and nothing has gone wrong since: it can be told of the end

	command  []byte // that the guest has not taken yet
	response []byte // to the last that it took, or nil
	ending   bool   // there are no more commands
	refused  string // what it asked for and did not get
	said     string // the last error that it logged
	todo     []int
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	start := s.host.Module.ExportedFunction("_start")
	s.run = pull.New(ctx, s.host.Context, func(ctx context.Context) error {
		_, err := start.Call(ctx)
		return err
	})
	if err := s.resume(ctx); err != nil {
		return fmt.Errorf("the processor ended before it asked for a command: %w", err)
	}
	for _, c := range []struct {
		name    string
		request []byte
	}{{"configure", configureRequest(s.settings)}, {"open", openRequest()}} {
		if _, err := s.ask(ctx, c.request, 0); err != nil {
			return fmt.Errorf("the command %s: %w", c.name, err)
		}
	}
	s.opened = true
	return nil
}

// ask hands a command over, for so many records, and returns the response. An error that the processor answers with leaves it alive.
func (s *session) ask(ctx context.Context, command []byte, records int) (response, error) {
	opened := s.opened
	s.opened = false
	s.command, s.response, s.refused, s.said = command, nil, "", ""
	if err := s.resume(ctx); err != nil {
		return response{}, err
	}
	if s.response == nil {
		return response{}, runtime.Breach("the processor asked for another command before it answered this one")
	}
	r, err := readResponse(s.response, records)
	if err != nil {
		return response{}, runtime.Breach("the processor's response cannot be read: %v", err)
	}
	s.opened = opened
	if r.failed {
		return response{}, runtime.Failure(stream.ReasonError, s.excuse(r.failure), true)
	}
	return r, nil
}

// resume lets the processor go on until it asks for a command. If it ends, what it logged last says why.
func (s *session) resume(ctx context.Context) error {
	err := s.run.Resume(ctx)
	if !runtime.Exited(err) && !errors.Is(err, pull.ErrExited) {
		return err
	}
	if s.said == "" {
		s.said = "it does not say why"
	}
	return runtime.Failure(stream.ReasonTrap, s.excuse("the processor ended: "+s.said), false)
}

// excuse adds to a failure what was refused before it.
func (s *session) excuse(text string) string {
	if s.refused == "" {
		return text
	}
	return text + "; " + s.refused
}

// refuse answers with an error, and takes note of it.
func (s *session) refuse(what string) uint32 {
	text := fmt.Sprintf("the processor asks for %s, and there is none", what)
	if s.refused != text {
		s.refused = text
		s.host.Log(2, []byte(text))
	}
	return internalError
}

// commandRequest waits for a command. One that does not fit is asked for again, with more room.
func (s *session) commandRequest(memory api.Memory, p []uint64) uint32 {
	if s.command == nil && !s.ending {
		s.run.Wait()
	}
	if s.ending {
		return noMoreCommands
	}
	if n := uint32(len(s.command)); n > uint32(p[1]) {
		return n
	}
	s.host.Charge(len(s.command))
	if !memory.Write(uint32(p[0]), s.command) {
		return memoryOutOfRange
	}
	n := uint32(len(s.command))
	s.command = nil
	return n
}

// parsedByte is what reading a byte of the guest's costs it, as a number of bytes copied.
const parsedByte = 16

func (s *session) commandResponse(memory api.Memory, p []uint64) uint32 {
	view, ok := memory.Read(uint32(p[0]), uint32(p[1]))
	if !ok {
		return memoryOutOfRange
	}
	if s.response != nil {
		runtime.Stop(stream.ReasonContract, "the processor answers a command twice")
	}
	s.host.Charge(parsedByte * len(view))
	s.response = bytes.Clone(view)
	return 0
}

// Close implements runtime.Session.
func (s *session) Close(ctx context.Context) error {
	var err error
	if s.opened {
		_, err = s.ask(ctx, teardownRequest(), 0)
		s.ending = true
		_ = s.run.Resume(ctx) // it ends, in its own way
	}
	s.run.Stop()
	return err
}

// Arguments implements runtime.Environment.
func (s *session) Arguments() []string { return []string{s.host.Name()} }

// Variables implements runtime.Environment.
func (s *session) Variables() []string {
	return []string{cookie, "CONDUIT_LOG_LEVEL=info", "CONDUIT_PROCESSOR_ID=" + s.host.Name()}
}

// logLineBytes bounds what is looked at as a line of the processor's log.
const logLineBytes = 16 << 10

var levels = map[string]uint32{"trace": 0, "debug": 0, "info": 1, "warn": 2, "error": 3, "fatal": 3, "panic": 3}

// Read implements runtime.Stdio.
func (s *session) Read([]byte) int { return 0 }

// Write implements runtime.Stdio: a processor logs lines of JSON to its standard output.
func (s *session) Write(b []byte) bool {
	if len(b) > logLineBytes {
		return false
	}
	s.host.Charge(parsedByte * len(b))
	var line struct{ Level, Message, Error string }
	if json.Unmarshal(b, &line) != nil {
		return false
	}
	if line.Error != "" {
		line.Message += ": " + line.Error
	}
	level, ok := levels[line.Level]
	if !ok {
		return false
	}
	if level == 3 {
		s.said = line.Message
	}
	s.host.Log(level, []byte(line.Message))
	return true
}
