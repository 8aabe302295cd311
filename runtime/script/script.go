// Package script is what the engines of scripts have in common: the form in which records go in, some hundred at once, and
// that in which the answers come out.
package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/stream"
)

// What goes into an engine at once. Beyond a hundred records nothing is gained.
const (
	batchRecords = 256
	batchBytes   = 256 << 10
)

// Call is the records of one call, and where their answers go.
type Call interface {
	Len() int
	Record(i int) *stream.Record
	Keep(i int)
	Drop(i int)
	Fail(i int, r stream.Reason, message string)
	Emit(i int, r *stream.Record)
}

// Each calls f for some records of a call after the others, as many as go into the engine at once.
func (in *Input) Each(c Call, asBytes bool, f func(todo []int) error) error {
	for lo := 0; lo < c.Len(); {
		hi, todo := in.gather(c, lo, asBytes)
		if len(todo) > 0 {
			if err := f(todo); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// gather lists the records from lo on that go into the engine together, and says where the next ones begin. Tombstones
// pass; what a script could not read, or where it finds none of the fields that it wants, is answered at once.
func (in *Input) gather(c Call, lo int, asBytes bool) (hi int, todo []int) {
	size := 0
	in.spans = in.spans[:0]
	for hi = lo; hi < c.Len() && len(todo) < batchRecords; hi++ {
		value := c.Record(hi).Value
		if value == nil {
			c.Keep(hi)
			continue
		}
		if size += len(value); size > batchBytes && len(todo) > 0 {
			return hi, todo
		}
		if why := in.unreadable(value, asBytes); why != "" {
			c.Fail(hi, stream.ReasonDecode, why)
			continue
		}
		todo = append(todo, hi)
	}
	return hi, todo
}

// unreadable says why a value cannot be a line of JSON, if that would not come to light in the engine: it repairs what is
// not UTF-8, and a line break that stands in a string would be lost with the others.
func (in *Input) unreadable(value []byte, asBytes bool) string {
	switch {
	case in.fields != nil:
		return in.find(value)
	case asBytes:
		return ""
	case len(value) > maxLevels && deeper(value, maxLevels):
		return fmt.Sprintf("the value nests deeper than %d levels", maxLevels)
	case !utf8.Valid(value):
		return "the value is not UTF-8, so it is not JSON"
	case bytes.IndexByte(value, '\n') >= 0 && !json.Valid(value):
		return notJSON(value)
	}
	return ""
}

// maxLevels is how deep a value may nest. An engine reads by recursion: what is much deeper ends it, at the price of a fresh one.
const maxLevels = 1000

// deeper says whether a value nests deeper than that, if it is JSON.
func deeper(value []byte, levels int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
		if depth > levels {
			return true
		}
	}
	return false
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

// Input is a batch as it goes into an engine. It is used again for the next.
type Input struct {
	Text    []byte // the values, as lines of JSON; as bytes one after the other
	Lengths []byte // of values as bytes: a list in JSON
	Records []byte // what is known of each record beside its value: a list in JSON, empty if nobody asks

	// Listed has the fields of all records as one list in JSON, for engines that make objects faster than they read them: see
	// writeFields. Otherwise they are objects, by line.
	Listed bool

	fields *fields.Set // nil: the script gets values as they are
	labels [][]byte    // of each field its name, as it stands in JSON before a value
	spans  []fields.Span
}

// Project lets a script have objects with these fields only. nil is no list.
func (in *Input) Project(names []string, asBytes bool) (err error) {
	if in.fields = nil; names == nil {
		return nil
	}
	if asBytes {
		return errors.New("the values are given as bytes (decode: bytes), which have no fields")
	}
	if in.fields, err = fields.New(names); err != nil {
		return err
	}
	in.labels = in.labels[:0]
	for _, name := range names {
		in.labels = append(in.labels, append(appendText(nil, []byte(name)), ':'))
	}
	return nil
}

// Fields are the names given to Project.
func (in *Input) Fields() []string {
	if in.fields == nil {
		return nil
	}
	return in.fields.Names()
}

// find notes where the fields of a value are, or says why it has none.
func (in *Input) find(value []byte) string {
	at, n := len(in.spans), len(in.labels)
	in.spans = slices.Grow(in.spans, n)[:at+n]
	if err := in.fields.Find(value, in.spans[at:]); err != nil {
		in.spans = in.spans[:at]
		return err.Error()
	}
	return ""
}

// writeFields lays out the fields of the records gathered. The first element of the list says how they follow: 1, the values
// of all fields of all records, one after the other, as no record lacks one; 0, an object for each record. Values alone
// are much less for an engine to read.
func (in *Input) writeFields(c Call, todo []int) {
	n, lacking := len(in.labels), len(in.labels) == 0 || slices.ContainsFunc(in.spans, fields.Span.Missing)
	if lacking {
		in.Text = append(in.Text, "[0"...)
	} else {
		in.Text = append(in.Text, "[1"...)
	}
	for r, i := range todo {
		value, spans := c.Record(i).Value, in.spans[r*n:(r+1)*n]
		if lacking {
			in.Text = in.appendObject(append(in.Text, ','), value, spans)
			continue
		}
		for _, s := range spans {
			in.Text = append(append(in.Text, ','), value[s.From:s.To]...)
		}
	}
	in.Text = append(in.Text, ']')
}

// appendObject appends an object of those fields that there are.
func (in *Input) appendObject(to, value []byte, spans []fields.Span) []byte {
	to = append(to, '{')
	open := len(to)
	for i, s := range spans {
		if s.Missing() {
			continue
		}
		if len(to) > open {
			to = append(to, ',')
		}
		to = append(append(to, in.labels[i]...), value[s.From:s.To]...)
	}
	return append(to, '}')
}

// Write lays out the records gathered.
func (in *Input) Write(c Call, todo []int, asBytes, records bool) {
	in.Text, in.Lengths, in.Records = in.Text[:0], in.Lengths[:0], in.Records[:0]
	for n, i := range todo {
		switch value := c.Record(i).Value; {
		case in.fields != nil && in.Listed: // below
		case asBytes:
			in.Lengths = strconv.AppendInt(append(in.Lengths, comma(n)), int64(len(value)), 10)
			in.Text = append(in.Text, value...)
		case n > 0:
			in.Text = append(in.Text, '\n')
			fallthrough
		default:
			at := len(in.Text)
			if in.fields != nil {
				in.Text = in.appendObject(in.Text, value, in.spans[n*len(in.labels):(n+1)*len(in.labels)])
			} else {
				in.Text = append(in.Text, value...)
			}
			inLine(in.Text[at:])
		}
		if records {
			in.Records = appendRecord(append(in.Records, comma(n)), c.Record(i))
		}
	}
	switch {
	case in.fields != nil && in.Listed:
		in.writeFields(c, todo)
	case asBytes:
		in.Lengths = append(in.Lengths, ']')
	}
	if records {
		in.Records = append(in.Records, ']')
	}
}

// comma is what stands before element n of a list.
func comma(n int) byte {
	if n == 0 {
		return '['
	}
	return ','
}

// inLine makes one line of a JSON document. A line break stands between its tokens, where a space says the same.
func inLine(line []byte) {
	for {
		i := bytes.IndexByte(line, '\n')
		if i < 0 {
			return
		}
		line[i] = ' '
		line = line[i+1:]
	}
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
