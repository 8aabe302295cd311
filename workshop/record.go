package workshop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/streamproc/streamproc/stream"
)

// maxLineBytes bounds a line of a file of records.
const maxLineBytes = 16 << 20

// Record is one input for a plugin.
type Record struct {
	Key       *string           `json:"key"`
	Value     json.RawMessage   `json:"value"`
	Headers   map[string]string `json:"headers"`
	Timestamp int64             `json:"timestamp"` // milliseconds since the Unix epoch
	raw       []byte            // the whole line, where it is a bare value
}

// ReadRecords reads records, one a line. A line that is an object with "value" and no other members than those of Record
// is taken apart; any other line is the value itself. Empty lines are skipped.
func ReadRecords(in io.Reader) (list []Record, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	for lines.Scan() {
		if line := lines.Bytes(); len(bytes.TrimSpace(line)) > 0 {
			list = append(list, parse(bytes.Clone(line)))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading records, line %d: %w", len(list)+1, err)
	}
	return list, nil
}

func parse(line []byte) Record {
	var r Record
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(&r) != nil || r.Value == nil || d.More() {
		return Record{raw: line}
	}
	return r
}

// stream is the record as it comes to a plugin, from offset at.
func (r *Record) stream(at int64) stream.Record {
	s := stream.Record{Value: r.raw, Timestamp: r.Timestamp, Origin: stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: at}}
	if r.raw == nil {
		s.Value = bytesOf(r.Value)
	}
	if r.Key != nil {
		s.Key = []byte(*r.Key)
	}
	for _, k := range sortedKeys(r.Headers) {
		s.Headers = append(s.Headers, stream.Header{Key: k, Value: []byte(r.Headers[k])})
	}
	return s
}

// bytesOf is the value that a member "value" stands for: null is none, a string is its text, all else its JSON.
func bytesOf(v json.RawMessage) []byte {
	var text string
	switch {
	case bytes.Equal(v, []byte("null")):
		return nil
	case v[0] == '"' && json.Unmarshal(v, &text) == nil:
		return []byte(text)
	}
	return v
}
