package connect

import (
	"slices"
	"strconv"

	"github.com/streamproc/streamproc/stream"
)

// Metadata are the record's headers, and what Connect's own Kafka input tells besides.

// key is the name of the record's key, which alone of those below may be set.
const key = "kafka_key"

var told = map[string]func(*stream.Record) string{
	"kafka_topic":             func(r *stream.Record) string { return r.Origin.Topic },
	"kafka_partition":         func(r *stream.Record) string { return strconv.Itoa(int(r.Origin.ID)) },
	"kafka_offset":            func(r *stream.Record) string { return strconv.FormatInt(r.Origin.Offset, 10) },
	"kafka_timestamp_ms":      func(r *stream.Record) string { return strconv.FormatInt(r.Timestamp, 10) },
	"kafka_timestamp_unix":    func(r *stream.Record) string { return strconv.FormatInt(r.Timestamp/1000, 10) },
	"kafka_tombstone_message": func(r *stream.Record) string { return strconv.FormatBool(r.Value == nil) },
}

// metadata is empty for a name that there is not. Of several headers of one name the last counts.
func metadata(r *stream.Record, name string) []byte {
	if name == key {
		return r.Key
	}
	if f, ok := told[name]; ok {
		return []byte(f(r))
	}
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

// setMetadata makes value the only one of its name. It is false for what cannot be set.
func setMetadata(r *stream.Record, name string, value []byte) bool {
	if name == key {
		r.Key = value
		return true
	}
	if _, ok := told[name]; ok {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(r.Headers), func(h stream.Header) bool { return h.Key == name })
	r.Headers = append(others, stream.Header{Key: name, Value: value})
	return true
}
