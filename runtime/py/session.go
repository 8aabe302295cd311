package py

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/pull"
	"github.com/streamproc/streamproc/runtime/script"
	"github.com/streamproc/streamproc/stream"
)

const (
	outOfMemory = 77 // code with which the harness ends for want of memory
	headBytes   = 5  // before what the engine writes: its kind, and its length
	// outputLimitBytes bounds what the engine writes for one batch, and what it writes at once.
	outputLimitBytes = 64 << 20
)

// session is one engine with one script in it.
type session struct {
	script *Script
	host   *runtime.Host
	first  []byte // the script, for the harness

	run  *pull.Run
	code uint32 // with which the engine ended itself

	has     told
	refusal string // why the harness cannot use the script
	input   script.Input

	in             []byte // what it has not read yet
	out            []byte // what it has written of a frame
	written        int    // of the batch at hand
	lines, outputs []byte // its answers
}

// told is what the harness tells of a script.
type told struct {
	script.Functions
	Cursor uint32   // where the harness notes which record it is at
	Fields []string // of values that it wants
}

// Arguments implements runtime.Environment: isolated, without the environment and without site-packages.
func (s *session) Arguments() []string { return []string{"python", "-S", "-E", "-I", "-c", harness} }

// Variables implements runtime.Environment.
func (s *session) Variables() []string { return nil }

// Exited implements runtime.Exit.
func (s *session) Exited(code uint32) { s.code = code }

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	s.run = pull.New(ctx, s.host.Context, func(ctx context.Context) error {
		_, err := s.host.Module.ExportedFunction("_start").Call(ctx)
		return err
	})
	s.feed(s.first, nil, nil)
	err := s.run.Resume(ctx)
	switch {
	case s.refusal != "":
		return errors.New(s.refusal)
	case s.code == outOfMemory:
		return errors.New(s.tooLarge())
	case err != nil:
		return fmt.Errorf("the engine ended before the script was ready: %w", err)
	case s.has.Cursor == 0:
		return fmt.Errorf("the engine asks for records before the script is ready: is it a Python?")
	}
	s.first = nil
	if err := s.input.Project(s.has.Fields, s.script.Bytes); err != nil {
		return fmt.Errorf("%s: fields: %w", s.script.name, err)
	}
	return s.has.Suit(s.script.name, "flat_map", s.host.Mode() == runtime.Filter)
}

// Fields are those that the script wants instead of whole values.
func (s *session) Fields() []string { return s.input.Fields() }

func (s *session) tooLarge() string {
	return fmt.Sprintf("%s is out of memory: the limit memory is %d bytes", s.script.name, s.host.MemoryBytes())
}

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	return s.input.Each(c, s.script.Bytes, func(todo []int) error { return s.batch(ctx, c, todo) })
}

// batch runs the script over some records, and answers them.
func (s *session) batch(ctx context.Context, c *runtime.Call, todo []int) error {
	s.input.Write(c, todo, s.script.Bytes, s.has.Record)
	s.feed(s.input.Text, s.input.Lengths, s.input.Records)
	if err := s.run.Resume(ctx); err != nil {
		c.At(todo[min(s.at(), len(todo)-1)])
		switch left, given := s.host.Fuel(); {
		case left < 0:
			return runtime.Failure(stream.ReasonFuel, fmt.Sprintf("%s was stopped: it has spent its fuel of %d units", s.script.name, given), false)
		case s.code == outOfMemory:
			return runtime.Failure(stream.ReasonLimit, s.tooLarge(), false)
		case runtime.Exited(err):
			return runtime.Failure(stream.ReasonError, fmt.Sprintf("%s ended the engine, with code %d", s.script.name, s.code), false)
		}
		return err
	}
	a := script.Answers{Call: c, Lines: s.lines, Bytes: s.script.Bytes, Outputs: s.outputs, Explain: script.Unquote}
	if err := a.Give(todo); err != nil {
		return runtime.Breach("%v", err)
	}
	if a.Failed { // the harness starts the script afresh
		c.Forgot()
	}
	return nil
}

// at is the place of the record that the harness is at, within its batch.
func (s *session) at() int {
	n, _ := s.host.Module.Memory().ReadUint32Le(s.has.Cursor)
	return int(n)
}

// feed is what the engine reads next.
func (s *session) feed(parts ...[]byte) {
	s.in, s.out, s.written, s.lines, s.outputs = s.in[:0], s.out[:0], 0, nil, nil
	for _, p := range parts {
		s.in = binary.LittleEndian.AppendUint32(s.in, uint32(len(p)))
	}
	for _, p := range parts {
		s.in = append(s.in, p...)
	}
}

// Read implements runtime.Stdio. Having read all, the engine waits for the next batch.
func (s *session) Read(b []byte) int {
	if len(s.in) == 0 {
		s.run.Wait()
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n
}

// Write implements runtime.Stdio.
func (s *session) Write(b []byte) bool {
	if s.written += len(b); s.written > outputLimitBytes {
		runtime.Stop(stream.ReasonOutput, fmt.Sprintf("%s writes more than %d bytes for one batch", s.script.name, outputLimitBytes))
	}
	s.out = append(s.out, b...)
	for len(s.out) >= headBytes {
		n := int64(binary.LittleEndian.Uint32(s.out[1:]))
		if int64(len(s.out)) < headBytes+n {
			break
		}
		s.told(s.out[0], s.out[headBytes:headBytes+n])
		s.out = s.out[headBytes+n:]
	}
	return true
}

// told takes a frame of the harness: see send there.
func (s *session) told(kind byte, part []byte) {
	switch kind {
	case '0', '1', '2', '3':
		s.host.CountCall()
		s.host.Log(uint32(kind-'0'), part)
	case 'K':
		s.lookUp(part)
	case 'R':
		if err := json.Unmarshal(part, &s.has); err != nil {
			runtime.Stop(stream.ReasonContract, "the engine does not say what the script has")
		}
	case 'E':
		s.refusal = string(part)
	case 'A':
		s.lines = bytes.Clone(part)
	case 'O':
		s.outputs = bytes.Clone(part)
	default:
		runtime.Stop(stream.ReasonContract, fmt.Sprintf("the engine writes a frame of the unknown kind %q", kind))
	}
}

// lookUp answers a lookup: with "=" and the value, with "-" where there is none, and with "?" where there is nothing to read.
func (s *session) lookUp(key []byte) {
	value, given := s.host.Lookup(key)
	kind := byte('=')
	if !given {
		kind = '?'
	} else if value == nil {
		kind = '-'
	}
	s.in = binary.LittleEndian.AppendUint32(s.in[:0], uint32(1+len(value)))
	s.in = append(append(s.in, kind), value...)
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error {
	if s.run != nil {
		s.run.Stop()
	}
	return nil
}
