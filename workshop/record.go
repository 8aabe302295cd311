package workshop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// MaxLineBytes bounds a line of a file of records: Kafka takes about 1 MiB, and what is refused should be refused there.
const MaxLineBytes = 16 << 20

// shownBytes is how much of a member that is wrong is shown.
const shownBytes = 40

// Record is a line of a file of records.
type Record struct {
	Key, Value []byte // nil is null
	Headers    map[string]string
	Timestamp  int64 // milliseconds since the Unix epoch; 0: none is given
	Line       int   // from 1
}

// Records reads JSON lines, one record a line; empty ones are skipped. A line that is an object with a value, and with none but
// the members of a Record, is taken apart. Any other is the value itself, byte for byte, also what is almost JSON: that is how
// odd values are tried. The first line that cannot be read ends it with an error that names it.
func Records(in io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, MaxLineBytes)
		n := 1
		for ; lines.Scan(); n++ {
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			r, err := parseLine(bytes.Clone(lines.Bytes()))
			if r.Line = n; err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(Record{}, fmt.Errorf("line %d: it is longer than %d bytes", n, MaxLineBytes))
		} else if err != nil {
			yield(Record{}, fmt.Errorf("line %d: %w", n, err))
		}
	}
}

// ReadRecords reads all records, as Records does.
func ReadRecords(in io.Reader) (list []Record, err error) {
	for r, err := range Records(in) {
		if err != nil {
			return nil, fmt.Errorf("reading records, %w", err)
		}
		list = append(list, r)
	}
	return list, nil
}

func parseLine(line []byte) (Record, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil || members["value"] == nil {
		return Record{Value: line}, nil //nolint:nilerr // what is no object is a value itself
	}
	for name := range members {
		if name != "key" && name != "value" && name != "headers" && name != "timestamp" {
			return Record{Value: line}, nil
		}
	}
	r := Record{Value: text(members["value"])}
	if key := members["key"]; key != nil {
		if r.Key = text(key); key[0] != '"' && r.Key != nil {
			return r, fmt.Errorf("key is %s: write text, or null", cut(key))
		}
	}
	if headers := members["headers"]; headers != nil && json.Unmarshal(headers, &r.Headers) != nil {
		return r, fmt.Errorf("headers are %s: write an object of text", cut(headers))
	}
	var err error
	if at := members["timestamp"]; at != nil {
		r.Timestamp, err = timestamp(at)
	}
	return r, err
}

// text is the bytes of a JSON value: those of a string without its quotes, nil of null, else the JSON as it stands.
func text(raw json.RawMessage) []byte {
	var s string
	switch {
	case string(raw) == "null":
		return nil
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
		return []byte(s)
	}
	return raw
}

func timestamp(raw json.RawMessage) (int64, error) {
	var ms int64
	if json.Unmarshal(raw, &ms) == nil && ms > 0 {
		return ms, nil
	}
	var at time.Time
	if json.Unmarshal(raw, &at) == nil && at.UnixMilli() > 0 {
		return at.UnixMilli(), nil
	}
	return 0, fmt.Errorf("timestamp is %s: write RFC 3339, as in \"2026-01-31T12:00:00Z\", or milliseconds since 1970", cut(raw))
}

// cut shows the beginning of a member.
func cut(raw json.RawMessage) string {
	if len(raw) > shownBytes {
		return string(raw[:shownBytes]) + "…"
	}
	return string(raw)
}

// stream is the record as it comes to a plugin, from offset at.
func (r *Record) stream(at int64) stream.Record {
	s := stream.Record{Key: r.Key, Value: r.Value, Timestamp: r.Timestamp, Origin: stream.Coordinate{Partition: stream.Partition{Topic: "in"}, Offset: at}}
	for _, k := range sortedKeys(r.Headers) {
		s.Headers = append(s.Headers, stream.Header{Key: k, Value: []byte(r.Headers[k])})
	}
	return s
}
