package js

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/script"
	"github.com/streamproc/streamproc/stream"
)

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.ctx, s.stopped = ctx, false
	if err := s.input.Each(c, s.script.Bytes, func(todo []int) error { return s.batch(ctx, c, todo) }); err != nil {
		return err
	}
	if s.threw {
		c.Forgot()
		s.Reset(ctx) // a script's own state is a cache; after an error it starts afresh
	}
	return nil
}

// batch runs the script over some records, and answers them.
func (s *session) batch(ctx context.Context, c *runtime.Call, todo []int) error {
	args, err := s.arguments(ctx, c, todo)
	if err != nil {
		return s.failed(err, c, todo)
	}
	answer, err := s.engine.invoke(ctx, s.process, args...)
	if err != nil {
		return s.failed(err, c, todo)
	}
	lines, outputs, err := s.split(ctx, answer)
	if err != nil {
		return s.failed(err, c, todo)
	}
	a := script.Answers{Call: c, Lines: lines, JSON: stream.JSONValid, Bytes: s.script.Bytes, Outputs: outputs, Explain: s.explain}
	if err := a.Give(todo); err != nil {
		return runtime.Breach("%v", err)
	}
	s.threw = s.threw || a.Failed
	return nil
}

// failed says what an error of the engine means for a call.
func (s *session) failed(err error, c *runtime.Call, todo []int) error {
	c.At(todo[min(s.at(), len(todo)-1)])
	var t *thrown
	switch left, _ := s.host.Fuel(); {
	case s.stopped || left < 0:
		return runtime.Failure(stream.ReasonFuel, s.spent(), false)
	case errors.As(err, &t) && strings.Contains(t.Message, "out of memory"), errors.Is(err, errMemory):
		return runtime.Failure(stream.ReasonLimit, fmt.Sprintf("%s is out of memory: the limit memory is %d bytes", s.script.name, s.host.MemoryBytes()), false)
	case errors.As(err, &t):
		return runtime.Failure(stream.ReasonError, s.script.explain(t), false)
	}
	return err
}

// explain reads what the harness says of an error.
func (s *session) explain(text []byte) (string, error) {
	var t thrown
	if err := json.Unmarshal(text, &t); err != nil {
		return "", err
	}
	return s.script.explain(&t), nil
}

// arguments are those of the harness's function: the values, for bytes their lengths, and what is known of each record
// if the script looks at it.
func (s *session) arguments(ctx context.Context, c *runtime.Call, todo []int) ([]handle, error) {
	e := s.engine
	s.input.Write(c, todo, s.script.Bytes, s.has.Record)
	recs, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	if !s.script.Bytes {
		text, err := e.newString(ctx, s.input.Text)
		return []handle{text, recs}, err
	}
	buffer, err := e.with(ctx, "qjs_new_array_buffer", s.input.Text)
	if err != nil {
		return nil, err
	}
	list, err := e.newString(ctx, s.input.Lengths)
	return []handle{buffer, list, recs}, err
}

// records is the second parameter of the script's functions for each record, as JSON, or undefined.
func (s *session) records(ctx context.Context) (handle, error) {
	if s.has.Record {
		return s.engine.newString(ctx, s.input.Records)
	}
	h, err := s.engine.call(ctx, "qjs_get_undefined")
	return handle(h), err
}

// split copies the answer of the harness out of the engine, and frees it: its lines, and for bytes the outputs.
func (s *session) split(ctx context.Context, answer handle) (lines, outputs []byte, err error) {
	e := s.engine
	if !s.script.Bytes {
		lines, err = e.lines(ctx, answer)
		return lines, nil, err
	}
	list, err := e.call(ctx, "qjs_get_prop_uint32", uint64(answer), 0)
	if err != nil {
		return nil, nil, err
	}
	if lines, err = e.lines(ctx, handle(list)); err != nil {
		return nil, nil, err
	}
	buffer, err := e.call(ctx, "qjs_get_prop_uint32", uint64(answer), 1)
	if err != nil {
		return nil, nil, err
	}
	_, view, err := e.bytes(ctx, handle(buffer))
	if err != nil {
		return nil, nil, err
	}
	outputs = bytes.Clone(view)
	return lines, outputs, e.free(ctx, answer, handle(buffer))
}
