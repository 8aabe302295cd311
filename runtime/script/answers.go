package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/streamproc/streamproc/stream"
)

// Answers are those of an engine for one batch, a line for each record:
//
//	=          the record passes as it is
//	-          it is dropped
//	>VALUE     its output; as bytes, its length
//	*N         so many outputs, in the lines after it; as bytes, their lengths, with a space between
//	?          its value is no JSON
//	!ERROR     it fails, for a reason in the engine's own form
type Answers struct {
	Call    Call
	Lines   []byte
	JSON    stream.JSONState // what the outputs are known to be; of bytes nothing is
	Bytes   bool
	Outputs []byte // with Bytes, one after the other
	// Explain reads an error.
	Explain func(text []byte) (string, error)

	Failed bool // a record has failed by an error of the script
}

// Give answers the records. An error is an engine that does not keep to the form.
func (a *Answers) Give(todo []int) error {
	if a.Bytes {
		a.JSON = stream.JSONUnknown
	}
	for _, i := range todo {
		if err := a.next(i); err != nil {
			return fmt.Errorf("the engine answers record %d: %w", i, err)
		}
	}
	return nil
}

func (a *Answers) line() []byte {
	line, rest, _ := bytes.Cut(a.Lines, []byte{'\n'})
	a.Lines = rest
	return line
}

// next answers record i.
func (a *Answers) next(i int) error {
	line := a.line()
	if len(line) == 0 {
		return errors.New("not at all")
	}
	switch op, rest := line[0], line[1:]; op {
	case '=':
		a.Call.Keep(i)
	case '-':
		a.Call.Drop(i)
	case '>', '*':
		return a.outputs(i, op, rest)
	case '?':
		a.Call.Fail(i, stream.ReasonDecode, notJSON(a.Call.Record(i).Value))
	case '!':
		text, err := a.Explain(rest)
		if err != nil {
			return errors.New("with an error that cannot be read")
		}
		a.Failed = true
		a.Call.Fail(i, stream.ReasonError, text)
	default:
		return fmt.Errorf("with %q", op)
	}
	return nil
}

func (a *Answers) outputs(i int, op byte, rest []byte) error {
	switch {
	case a.Bytes:
		return a.cut(i, rest)
	case op == '>':
		a.emit(i, rest)
		return nil
	}
	n, err := strconv.Atoi(string(rest))
	if err != nil {
		return fmt.Errorf("with %q outputs", rest)
	}
	for ; n > 0; n-- {
		line := a.line()
		if len(line) == 0 {
			return errors.New("with fewer outputs than it says")
		}
		a.emit(i, line)
	}
	return nil
}

// cut takes the outputs of record i from those of all.
func (a *Answers) cut(i int, lengths []byte) error {
	for length := range bytes.SplitSeq(lengths, []byte{' '}) {
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n > len(a.Outputs) {
			return fmt.Errorf("with %q bytes", length)
		}
		a.emit(i, a.Outputs[:n:n])
		a.Outputs = a.Outputs[n:]
	}
	return nil
}

// emit adds one output of record i. It shares the memory of its batch.
func (a *Answers) emit(i int, value []byte) {
	r := *a.Call.Record(i)
	r.Value, r.JSON = value[:len(value):len(value)], a.JSON
	a.Call.Emit(i, &r)
}

// Unquote reads an error that an engine writes as a JSON string.
func Unquote(text []byte) (s string, err error) {
	err = json.Unmarshal(text, &s)
	return s, err
}
