package js

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.ctx, s.stopped = ctx, false
	for lo := 0; lo < c.Len(); {
		hi, todo := s.gather(c, lo)
		if len(todo) > 0 {
			if err := s.batch(ctx, c, todo); err != nil {
				return err
			}
		}
		lo = hi
	}
	if s.threw {
		s.Reset(ctx) // a script's own state is a cache; after an error it starts afresh
	}
	return nil
}

// gather lists the records from lo on that go into the engine together, and says where the next ones begin. Tombstones
// pass; what the script could not read is answered at once.
func (s *session) gather(c *runtime.Call, lo int) (hi int, todo []int) {
	size := 0
	for hi = lo; hi < c.Len() && len(todo) < batchRecords; hi++ {
		value := c.Record(hi).Value
		if value == nil {
			c.Keep(hi)
			continue
		}
		if size += len(value); size > batchBytes && len(todo) > 0 {
			return hi, todo
		}
		if why := s.unreadable(value); why != "" {
			c.Fail(hi, stream.ReasonDecode, why)
			continue
		}
		todo = append(todo, hi)
	}
	return hi, todo
}

// unreadable says why a value cannot be a line of JSON, if that would not come to light in the engine: it repairs what is
// not UTF-8, and a line break that stands in a string would be lost with the others.
func (s *session) unreadable(value []byte) string {
	switch {
	case s.script.Bytes:
		return ""
	case !utf8.Valid(value):
		return "the value is not UTF-8, so it is not JSON"
	case bytes.IndexByte(value, '\n') >= 0 && !json.Valid(value):
		return notJSON(value)
	}
	return ""
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
	a := answers{session: s, call: c, lines: lines, outputs: outputs}
	for _, i := range todo {
		if err := a.next(i); err != nil {
			return err
		}
	}
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

// arguments are those of the harness's function: the values, for bytes their lengths, and what is known of each record
// if the script looks at it.
func (s *session) arguments(ctx context.Context, c *runtime.Call, todo []int) ([]handle, error) {
	s.text = s.text[:0]
	lengths := []byte{'['}
	for n, i := range todo {
		value := c.Record(i).Value
		if s.script.Bytes {
			lengths = append(strconv.AppendInt(lengths, int64(len(value)), 10), ',')
			s.text = append(s.text, value...)
			continue
		}
		if n > 0 {
			s.text = append(s.text, '\n')
		}
		s.text = appendLine(s.text, value)
	}
	e := s.engine
	recs, err := s.records(ctx, c, todo)
	if err != nil {
		return nil, err
	}
	if !s.script.Bytes {
		text, err := e.newString(ctx, s.text)
		return []handle{text, recs}, err
	}
	buffer, err := e.with(ctx, "qjs_new_array_buffer", s.text)
	if err != nil {
		return nil, err
	}
	lengths[len(lengths)-1] = ']'
	list, err := e.newString(ctx, lengths)
	return []handle{buffer, list, recs}, err
}

// appendLine appends a JSON document as one line. A line break stands between its tokens, where a space says the same.
func appendLine(to, value []byte) []byte {
	at := len(to)
	to = append(to, value...)
	line := to[at:]
	for {
		i := bytes.IndexByte(line, '\n')
		if i < 0 {
			return to
		}
		line[i] = ' '
		line = line[i+1:]
	}
}

// records is the second parameter of the script's functions for each record, as JSON, or undefined.
func (s *session) records(ctx context.Context, c *runtime.Call, todo []int) (handle, error) {
	if !s.can(wantsRecord) {
		h, err := s.engine.call(ctx, "qjs_get_undefined")
		return handle(h), err
	}
	s.recs = append(s.recs[:0], '[')
	for n, i := range todo {
		if n > 0 {
			s.recs = append(s.recs, ',')
		}
		s.recs = appendRecord(s.recs, c.Record(i))
	}
	return s.engine.newString(ctx, append(s.recs, ']'))
}

func appendRecord(b []byte, r *stream.Record) []byte {
	b = appendText(append(b, `{"key":`...), r.Key)
	b = append(b, `,"headers":{`...)
	for i, h := range r.Headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, []byte(h.Key)), ':'), h.Value)
	}
	b = strconv.AppendInt(append(b, `},"timestamp":`...), r.Timestamp, 10)
	b = appendText(append(b, `,"topic":`...), []byte(r.Origin.Topic))
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(r.Origin.ID), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), r.Origin.Offset, 10)
	return append(b, '}')
}

// appendText appends bytes as a JSON string, or null. Bytes that are not UTF-8 become replacement characters.
func appendText(b, text []byte) []byte {
	if text == nil {
		return append(b, "null"...)
	}
	quoted, _ := json.Marshal(string(text)) // a string has a form in JSON, always
	return append(b, quoted...)
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

// answers reads the lines of the harness: see harness.js.
type answers struct {
	session        *session
	call           *runtime.Call
	lines, outputs []byte
}

func (a *answers) line() []byte {
	line, rest, _ := bytes.Cut(a.lines, []byte{'\n'})
	a.lines = rest
	return line
}

// next answers record i.
func (a *answers) next(i int) error {
	line := a.line()
	if len(line) == 0 {
		return runtime.Breach("the engine has no answer for record %d", i)
	}
	switch op, rest := line[0], line[1:]; op {
	case '=':
		a.call.Keep(i)
	case '-':
		a.call.Drop(i)
	case '>', '*':
		return a.outputsOf(i, op, rest)
	case '?':
		a.call.Fail(i, stream.ReasonDecode, notJSON(a.call.Record(i).Value))
	case '!':
		var t thrown
		if err := json.Unmarshal(rest, &t); err != nil {
			return runtime.Breach("the engine reports an error that cannot be read")
		}
		a.session.threw = true
		a.call.Fail(i, stream.ReasonError, a.session.script.explain(&t))
	default:
		return runtime.Breach("the engine answers record %d with %q", i, op)
	}
	return nil
}

// notJSON says where a value stops being JSON, without showing it.
func notJSON(value []byte) string {
	var any json.RawMessage
	var at *json.SyntaxError
	if errors.As(json.Unmarshal(value, &any), &at) {
		return fmt.Sprintf("the value is not JSON: it goes wrong at byte %d", at.Offset)
	}
	return "the value is not JSON that the engine can read"
}

func (a *answers) outputsOf(i int, op byte, rest []byte) error {
	if !a.session.script.Bytes {
		n := 1
		if op == '*' {
			n, _ = strconv.Atoi(string(rest))
			rest = a.line()
		}
		for ; n > 0; n-- {
			a.emit(i, rest)
			if n > 1 {
				rest = a.line()
			}
		}
		return nil
	}
	for length := range bytes.SplitSeq(rest, []byte{' '}) {
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n > len(a.outputs) {
			return runtime.Breach("the engine answers record %d with %q bytes", i, length)
		}
		a.emit(i, a.outputs[:n:n])
		a.outputs = a.outputs[n:]
	}
	return nil
}

// emit adds one output of record i. It shares the memory of its batch.
func (a *answers) emit(i int, value []byte) {
	r := *a.call.Record(i)
	r.Value, r.JSON = value[:len(value):len(value)], stream.JSONUnknown
	if !a.session.script.Bytes {
		r.JSON = stream.JSONValid
	}
	a.call.Emit(i, &r)
}
