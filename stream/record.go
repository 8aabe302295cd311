// Package stream is the vocabulary that every other package speaks: records, batches, partitions, checkpoints' marks.
// It imports the standard library only, so that the packages above need not know each other.
package stream

import (
	"bytes"
	"fmt"
)

// Header is one header of a record. A nil Value is a null value.
type Header struct {
	Key   string
	Value []byte
}

// Partition names one partition of one input topic.
type Partition struct {
	Topic string
	ID    int32
}

func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.ID) }

// Coordinate is where a record was read. LeaderEpoch tells apart two records that held the same offset before and
// after an unclean election.
type Coordinate struct {
	Partition
	LeaderEpoch int32
	Offset      int64
}

func (c Coordinate) String() string { return fmt.Sprintf("%s/%d@%d", c.Topic, c.ID, c.Offset) }

// JSONState says whether a record's value is known to be JSON.
type JSONState uint8

// The states of Record.JSON. Whoever changes Value sets it back to JSONUnknown.
const (
	JSONUnknown JSONState = iota
	JSONValid
	JSONInvalid
	JSONLocated // valid, and an object whose fields Record.Places tells
)

// Place is where the value of a field stands in its document, as it is written there. The zero value is a field that there
// is not.
type Place struct{ From, To uint32 }

// Missing says that there is no such field; one that is null is there.
func (p Place) Missing() bool { return p.To == 0 }

// Places is how many fields of a value a record remembers the places of.
const Places = 4

// Record is one record on its way through a pipeline. Key and Value are read-only: they may share memory with the fetch
// that brought them, with other records, or with an output buffer of a plugin; a step that changes one sets a new slice.
// A step that keeps a record beyond the batch it came in keeps a Clone.
type Record struct {
	Key, Value []byte // nil is null, which differs from empty
	Headers    []Header
	Timestamp  int64      // milliseconds since the Unix epoch
	Origin     Coordinate // the input record that this one descends from
	Fate       Fate
	Hops       uint8 // how often it has been a dead letter before it was read; kept from steps, which would lose or forge it
	JSON       JSONState
	Places     [Places]Place // while JSON is JSONLocated: of the fields that the pipeline looks up, in its own order
	Sink       Sink          // where it is to be written; NoSink leaves it to the pipeline's only sink
	Cause      *Cause        // why it goes to the dead letters, or nil
	Family     *Family       // shared by the outputs of one input where a transform made several of it, or nil
	Original   *Original     // what the record was when it was read, where a transform has made another of it; nil: it still is
}

// Original is a record as it was read, for the dead letters. It is immutable, and shared by all that descends from it.
type Original struct {
	Key, Value []byte
	Headers    []Header
	Timestamp  int64
}

// Preserve puts what r is into o, and makes it r's original, unless r has one already.
func (r *Record) Preserve(o *Original) {
	if r.Original == nil {
		*o = Original{r.Key, r.Value, r.Headers, r.Timestamp}
		r.Original = o
	}
}

// Clone returns a copy that shares no memory with r, so that holding it does not hold the fetch it came in.
func (r *Record) Clone() Record {
	c := *r
	c.Key, c.Value = clone(r.Key, r.Value)
	c.Headers = cloneHeaders(r.Headers)
	if c.JSON == JSONLocated {
		c.JSON, c.Places = JSONValid, [Places]Place{} // whoever reads it later may look up other fields
	}
	if o := r.Original; o != nil {
		c.Original = &Original{Headers: cloneHeaders(o.Headers), Timestamp: o.Timestamp}
		c.Original.Key, c.Original.Value = clone(o.Key, o.Value)
	}
	return c
}

// clone copies two slices into one allocation; nil stays nil.
func clone(a, b []byte) (_, _ []byte) {
	buf := make([]byte, len(a)+len(b))
	n := copy(buf, a)
	copy(buf[n:], b)
	x, y := buf[:n:n], buf[n:]
	if a == nil {
		x = nil
	}
	if b == nil {
		y = nil
	}
	return x, y
}

func cloneHeaders(hs []Header) []Header {
	if hs == nil {
		return nil
	}
	list := make([]Header, len(hs))
	for i, h := range hs {
		list[i] = Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	return list
}

// Size is how many bytes of keys and values the record keeps in memory.
func (r *Record) Size() int {
	n := len(r.Key) + len(r.Value)
	if r.Original != nil {
		n += len(r.Original.Key) + len(r.Original.Value)
	}
	return n
}

// Header returns the value of the last header named key, and whether there is one.
func (r *Record) Header(key string) ([]byte, bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// SetHeader sets the header named key in a new slice of headers; the old slice is not touched.
func (r *Record) SetHeader(key string, value []byte) {
	hs := make([]Header, 0, len(r.Headers)+1)
	for _, h := range r.Headers {
		if h.Key != key {
			hs = append(hs, h)
		}
	}
	r.Headers = append(hs, Header{Key: key, Value: value})
}

// Sink numbers an output of a pipeline, from 1.
type Sink uint16

// NoSink is the Sink of a record that no step has routed.
const NoSink Sink = 0
