package pipeline

import (
	"fmt"
	"strconv"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// The headers of a dead letter.
const (
	headerOrigin   = "sp-origin"   // topic/partition@offset
	headerPipeline = "sp-pipeline" // name
	headerStep     = "sp-step"
	headerReason   = "sp-reason"
	headerError    = "sp-error"
	headerPlugin   = "sp-plugin" // hex SHA-256
	headerAttempts = "sp-attempts"
	headerAt       = "sp-at" // RFC 3339
)

// hopsLimit is how often a record may be a dead letter. By then somebody copies dead letters back to where they came from, and
// as many of them have its bytes: it is dropped, instead of going round for ever.
const hopsLimit = 16

// verdict is what becomes of an input of which a record could not be processed.
func verdict(r *stream.Record) stream.Fate {
	if r.Hops >= hopsLimit {
		return stream.Filtered
	}
	return stream.DeadLettered
}

// bury writes a record that could not be processed to the dead letters, unless it has been there too often, and tells of it.
func (w *Worker) bury(r *stream.Record) {
	tell := w.spec.Events.Dropped
	if r.Hops < hopsLimit {
		tell = w.spec.Events.Dead
		d := w.deadLetter(r)
		w.emit(&d)
	}
	if tell != nil {
		tell(Coordinates{Record: r.Origin.String(), Step: r.Cause.Step, Reason: string(r.Cause.Reason), Message: r.Cause.Message, Hops: int(r.Hops)})
	}
}

// deadLetter is the record as it was read, byte for byte and whatever the steps had made of it, with what is known about
// why it could not be processed. A record over a limit of the pipeline's own, or of the brokers', is sent by reference:
// coordinate and sizes, without the bytes.
func (w *Worker) deadLetter(r *stream.Record) stream.Record {
	d := *r
	d.Sink, d.Fate, d.Hops = w.spec.DeadLetters, stream.DeadLettered, r.Hops+1
	if o := r.Original; o != nil {
		d.Key, d.Value, d.Headers, d.Timestamp = o.Key, o.Value, o.Headers, o.Timestamp
	}
	d.Headers = append(make([]stream.Header, 0, len(d.Headers)+8), d.Headers...)
	if r.Cause.Reason == stream.ReasonLimit && r.Cause.Plugin == "" || r.Cause.Reason == stream.ReasonProduce {
		d.Key, d.Value, d.Headers = nil, nil, d.Headers[:0]
		if len(r.Key) <= maxReferenceKey {
			d.Key = r.Key
		}
	}
	add := func(k, v string) {
		if v != "" {
			d.Headers = append(d.Headers, stream.Header{Key: k, Value: []byte(v)})
		}
	}
	add(headerOrigin, r.Origin.String())
	add(headerPipeline, w.spec.Name)
	add(headerStep, r.Cause.Step)
	add(headerReason, string(r.Cause.Reason))
	add(headerError, r.Cause.Message)
	add(headerPlugin, r.Cause.Plugin)
	add(headerAttempts, strconv.Itoa(max(r.Cause.Attempts, 1)))
	add(headerAt, time.Now().UTC().Format(time.RFC3339))
	return d
}

// maxReferenceKey is how long a key may be to go along with a dead letter by reference.
const maxReferenceKey = 64 << 10

// Limits bound a record before any step sees it. Zero is no limit.
type Limits struct {
	ValueBytes, KeyBytes int
	Headers, HeaderBytes int // how many, and how large each
}

// exceeded returns why r is over a limit, or nil.
func (l Limits) exceeded(r *stream.Record) *stream.Cause {
	over := func(what string, n, limit int) *stream.Cause {
		return &stream.Cause{Step: "source", Reason: stream.ReasonLimit, Message: fmt.Sprintf(
			"%s of %d is over record_limits of %d; record of %d key bytes, %d value bytes, %d headers", what, n, limit, len(r.Key), len(r.Value), len(r.Headers))}
	}
	switch {
	case l.ValueBytes > 0 && len(r.Value) > l.ValueBytes:
		return over("a value", len(r.Value), l.ValueBytes)
	case l.KeyBytes > 0 && len(r.Key) > l.KeyBytes:
		return over("a key", len(r.Key), l.KeyBytes)
	case l.Headers > 0 && len(r.Headers) > l.Headers:
		return over("a number of headers", len(r.Headers), l.Headers)
	}
	if l.HeaderBytes > 0 {
		for _, h := range r.Headers {
			if n := len(h.Key) + len(h.Value); n > l.HeaderBytes {
				return over("a header", n, l.HeaderBytes)
			}
		}
	}
	return nil
}
