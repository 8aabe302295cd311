// Package command lets WASI commands process records as they do anywhere: a value is a line on standard input, what
// becomes of it a line on standard output, and an empty line nothing.
//
// A command lives on, line by line, or runs once for each batch and sees the end of its input.
package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/pull"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
)

// Dialect is the ABI, in one of its two forms.
type Dialect struct {
	PerBatch bool // the command runs once for each batch
}

// Name implements runtime.Dialect.
func (d Dialect) Name() string {
	if d.PerBatch {
		return "command-batch"
	}
	return "command"
}

// Speaks implements runtime.Dialect. Commands that run once for each batch look the same: they are named.
func (d Dialect) Speaks(m *meter.Module) bool {
	_, start := m.Exported("_start")
	return start && !d.PerBatch && !slices.ContainsFunc(m.Imports, func(i meter.Import) bool { return i.Module != "wasi_snapshot_preview1" }) &&
		!slices.ContainsFunc(m.Exports, func(e meter.Export) bool { return strings.HasPrefix(e.Name, "sp_") })
}

// Check implements runtime.Dialect.
func (Dialect) Check(m *meter.Module) error {
	if _, ok := m.Exported("_start"); !ok {
		return errors.New("a command exports _start; this module does not")
	}
	return nil
}

// Functions implements runtime.Dialect.
func (Dialect) Functions() []runtime.HostFunction { return nil }

// Open implements runtime.Dialect.
func (d Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	if h.Mode() == runtime.Filter {
		return nil, errors.New("a command writes lines; use it as a transform, an empty line drops")
	}
	var config struct {
		Args []string          `json:"args"`
		Env  map[string]string `json:"env"`
	}
	r := json.NewDecoder(bytes.NewReader(h.Config()))
	r.DisallowUnknownFields()
	if err := r.Decode(&config); err != nil {
		return nil, fmt.Errorf("the config of a command is args, a list, and env, names and values: %w", err)
	}
	s := &session{dialect: d, host: h, arguments: append([]string{h.Name()}, config.Args...)}
	for name, value := range config.Env {
		s.variables = append(s.variables, name+"="+value)
	}
	slices.Sort(s.variables)
	for _, text := range append(s.arguments, s.variables...) {
		if strings.Contains(text, "\x00") {
			return nil, errors.New("an argument or variable of a command cannot hold a zero byte")
		}
	}
	return s, nil
}

// outputLimitBytes bounds what one call writes.
const outputLimitBytes = 64 << 20

// session is one command.
type session struct {
	dialect              Dialect
	host                 *runtime.Host
	arguments, variables []string

	run  *pull.Run // nil for a command that runs once for each batch
	used bool      // the instance has run
	code uint32    // with which it ended itself

	call    *runtime.Call
	in      []byte // what it has not read yet
	out     []byte
	lines   int // complete in out
	current []int
}

// Arguments implements runtime.Environment.
func (s *session) Arguments() []string { return s.arguments }

// Variables implements runtime.Environment.
func (s *session) Variables() []string { return s.variables }

// Exited implements runtime.Exit.
func (s *session) Exited(code uint32) { s.code = code }

// Start implements runtime.Session. A command that lives on runs until it asks for its first line.
func (s *session) Start(ctx context.Context) error {
	if s.dialect.PerBatch {
		return nil
	}
	s.run = pull.New(ctx, s.host.Context, s.start)
	if err := s.run.Resume(ctx); err != nil {
		return fmt.Errorf("the command ended before it read a line: %w", err)
	}
	return nil
}

func (s *session) start(ctx context.Context) error {
	_, err := s.host.Module.ExportedFunction("_start").Call(ctx)
	return err
}

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.call, s.in, s.out, s.lines, s.current, s.code = c, s.in[:0], nil, 0, s.current[:0], 0
	defer func() { s.call = nil }()
	for i := range c.Len() {
		s.add(c, i)
	}
	if len(s.current) == 0 {
		return nil
	}
	run := s.goOn
	if s.dialect.PerBatch {
		run = s.runOnce
	}
	if err := run(ctx); err != nil {
		return err
	}
	return s.answer(c)
}

// add puts the value of record i among the lines to read, if it is one.
func (s *session) add(c *runtime.Call, i int) {
	value := c.Record(i).Value
	if value == nil {
		c.Keep(i)
		return
	}
	at := len(s.in)
	s.in = append(append(s.in, value...), '\n')
	if bytes.IndexByte(value, '\n') >= 0 {
		if !json.Valid(value) {
			s.in = s.in[:at]
			c.Fail(i, stream.ReasonDecode, "the value holds a line break, and is no JSON in which it would mean nothing")
			return
		}
		for line := s.in[at : len(s.in)-1]; ; {
			n := bytes.IndexByte(line, '\n')
			if n < 0 {
				break
			}
			line[n], line = ' ', line[n+1:]
		}
	}
	s.current = append(s.current, i)
}

// goOn lets a command that lives on read the lines, until it asks for more.
func (s *session) goOn(ctx context.Context) error {
	if err := s.run.Resume(ctx); err != nil {
		if s.code != 0 {
			return runtime.Failure(stream.ReasonError, fmt.Sprintf("the command ended with code %d", s.code), false)
		}
		return err
	}
	return nil
}

// runOnce runs a new instance over the lines.
func (s *session) runOnce(ctx context.Context) error {
	if s.used {
		if err := s.host.Again(ctx); err != nil {
			return err
		}
	}
	s.used = true
	err := s.start(ctx)
	switch {
	case err == nil, runtime.Exited(err) && s.code == 0:
		return nil
	case runtime.Exited(err):
		return runtime.Failure(stream.ReasonError, fmt.Sprintf("the command ended with code %d", s.code), true)
	}
	return err
}

// Read implements runtime.Stdio.
func (s *session) Read(b []byte) int {
	if len(s.in) == 0 || s.call == nil {
		if s.run == nil {
			return 0
		}
		s.run.Wait()
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n
}

// Write implements runtime.Stdio.
func (s *session) Write(b []byte) bool {
	if s.call == nil {
		return false
	}
	if len(s.out)+len(b) > outputLimitBytes {
		runtime.Stop(stream.ReasonOutput, fmt.Sprintf("the command writes more than %d bytes for one batch", outputLimitBytes))
	}
	s.out = append(s.out, b...)
	if s.lines += bytes.Count(b, []byte{'\n'}); s.lines < len(s.current) {
		s.call.At(s.current[s.lines])
	}
	return true
}

// answer gives each line to its record. A record that went in alone may have become several.
func (s *session) answer(c *runtime.Call) error {
	if n := len(s.out); n > 0 && s.out[n-1] != '\n' {
		s.out, s.lines = append(s.out, '\n'), s.lines+1
	}
	if n := len(s.current); s.lines != n && (n > 1 || s.run != nil) {
		return runtime.Failure(stream.ReasonContract, fmt.Sprintf("the command wrote %d lines for the %d it read", s.lines, n), s.run == nil)
	}
	rest := s.out
	for n := range s.lines {
		at := bytes.IndexByte(rest, '\n')
		line := rest[:at:at]
		rest = rest[at+1:]
		if len(line) == 0 {
			continue // a record without an answer is dropped
		}
		i := s.current[min(n, len(s.current)-1)]
		r := *c.Record(i)
		r.Value, r.JSON = line, stream.JSONUnknown
		c.Emit(i, &r)
	}
	return nil
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error {
	if s.run != nil {
		s.run.Stop()
	}
	return nil
}
