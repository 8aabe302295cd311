package conduit

import (
	"maps"
	"slices"
	"strconv"

	"github.com/streamproc/streamproc/stream"
)

// Metadata are the record's headers, and what Conduit's connectors tell besides, which is no header on the way back.
const (
	collection = "opencdc.collection"
	createdAt  = "opencdc.createdAt"
	readAt     = "opencdc.readAt"
	version    = "opencdc.version"
)

// told is what there is besides the headers. Times are in nanoseconds.
func told(r *stream.Record) [4]struct{ name, value string } {
	at := strconv.FormatInt(r.Timestamp*1e6, 10)
	return [...]struct{ name, value string }{{collection, r.Origin.Topic}, {createdAt, at}, {readAt, at}, {version, "v1"}}
}

// headers are those of r as metadata has them now: what did not change stays as it was, in its order; what is new comes
// behind, by name.
func headers(r *stream.Record, metadata map[string]string) []stream.Header {
	before := map[string]string{}
	for i := range r.Headers {
		before[r.Headers[i].Key] = string(r.Headers[i].Value)
	}
	written := map[string]bool{collection: true, createdAt: true, readAt: true, version: true}
	var out []stream.Header
	for _, h := range r.Headers {
		v, ok := metadata[h.Key]
		switch {
		case !ok || written[h.Key]:
		case v == before[h.Key]:
			out = append(out, h)
		default:
			out = append(out, stream.Header{Key: h.Key, Value: []byte(v)})
			written[h.Key] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if _, ok := before[name]; !ok && !written[name] {
			out = append(out, stream.Header{Key: name, Value: []byte(metadata[name])})
		}
	}
	return out
}
