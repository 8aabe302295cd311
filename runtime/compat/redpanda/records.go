package redpanda

import (
	"encoding/binary"
	"fmt"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// What the host functions answer when they cannot do what is asked.
const (
	noTransform   = -1 // no batch is at hand, or no record is left in it
	invalidBuffer = -2 // too small, or not a record
	invalidWrite  = -3 // refused
)

// outOfRange ends the call of a guest that points outside its memory.
func outOfRange(what string) {
	runtime.Stop(stream.ReasonContract, "the transform gave an address outside its memory for "+what)
}

// readHeader waits for the next batch, describes it, and returns the size of its largest record.
func (s *session) readHeader(memory api.Memory, p []uint64) int32 {
	s.run.Wait()
	c := s.call
	first, last, least, most, largest := c.Record(0), c.Record(c.Len()-1), int64(0), int64(0), 0
	for i := range c.Len() {
		r := c.Record(i)
		if i == 0 || r.Timestamp < least {
			least = r.Timestamp
		}
		if i == 0 || r.Timestamp > most {
			most = r.Timestamp
		}
		largest = max(largest, payloadLen(r))
	}
	delta := last.Origin.Offset - first.Origin.Offset
	ok := memory.WriteUint64Le(uint32(p[0]), uint64(first.Origin.Offset)) &&
		memory.WriteUint32Le(uint32(p[1]), uint32(c.Len())) &&
		memory.WriteUint32Le(uint32(p[2]), uint32(first.Origin.LeaderEpoch)) &&
		memory.WriteUint16Le(uint32(p[3]), 0) && // no compression, the producer's timestamps
		memory.WriteUint32Le(uint32(p[4]), uint32(delta)) &&
		memory.WriteUint64Le(uint32(p[5]), uint64(least)) &&
		memory.WriteUint64Le(uint32(p[6]), uint64(most)) &&
		memory.WriteUint64Le(uint32(p[7]), ^uint64(0)) && // no producer id, epoch and sequence: -1
		memory.WriteUint16Le(uint32(p[8]), ^uint16(0)) &&
		memory.WriteUint32Le(uint32(p[9]), ^uint32(0))
	if !ok {
		outOfRange("the batch's header")
	}
	return int32(largest)
}

// readRecord hands the next record over. A buffer that is too small leaves it the next one.
func (s *session) readRecord(memory api.Memory, p []uint64) int32 {
	c := s.call
	if c == nil || s.at+1 >= c.Len() {
		return noTransform
	}
	r := c.Record(s.at + 1)
	n := payloadLen(r)
	if n > int(int32(p[4])) {
		return invalidBuffer
	}
	buf, ok := memory.Read(uint32(p[3]), uint32(n))
	if !ok || !memory.WriteByte(uint32(p[0]), 0) || !memory.WriteUint64Le(uint32(p[1]), uint64(r.Timestamp)) ||
		!memory.WriteUint64Le(uint32(p[2]), uint64(r.Origin.Offset)) {
		outOfRange("a record")
	}
	putPayload(buf, r)
	s.at++
	s.refused, s.asked = "", false
	c.At(s.at)
	return int32(n)
}

func (s *session) write(memory api.Memory, p []uint64) int32 {
	return s.emit(memory, p, stream.NoSink)
}

// writeTo is write with options: none, or the topic.
func (s *session) writeTo(memory api.Memory, p []uint64) int32 {
	options, ok := memory.Read(uint32(p[2]), uint32(p[3]))
	if !ok {
		outOfRange("the options of a write")
	}
	if len(options) == 0 {
		return s.emit(memory, p, stream.NoSink)
	}
	topic, rest, ok := takeText(options[1:])
	if options[0] != 1 || !ok || topic == nil || len(rest) > 0 {
		return invalidBuffer
	}
	if string(topic) == defaultOutput {
		return s.emit(memory, p, stream.NoSink)
	}
	if s.call == nil || s.at < 0 {
		return noTransform
	}
	sink, known := s.call.Output(string(topic))
	if !known {
		s.refused = fmt.Sprintf("the transform writes to the topic %q, and its step has no output of this name", topic)
		return invalidWrite
	}
	return s.emit(memory, p, sink)
}

// emit adds the record that p[0] and p[1] point to.
func (s *session) emit(memory api.Memory, p []uint64, sink stream.Sink) int32 {
	if s.call == nil || s.at < 0 {
		return noTransform
	}
	view, ok := memory.Read(uint32(p[0]), uint32(p[1]))
	if !ok {
		outOfRange("a write")
	}
	r := *s.call.Record(s.at)
	if n := payloadHeaders(view); n > runtime.OutputHeaders { // which would take more room here than there
		s.call.Fail(s.at, stream.ReasonOutput, fmt.Sprintf("an output of %d headers is over the limit of %d", n, runtime.OutputHeaders))
		return int32(len(view))
	}
	if !readPayload(&r, s.call.Copy(view)) {
		return invalidBuffer
	}
	if sink != stream.NoSink {
		r.Sink = sink
	}
	s.call.Emit(s.at, &r)
	return int32(len(view))
}

// A payload is what a record of a Kafka batch, version 2, holds behind its two deltas: key, value and headers, each text
// behind its length as a zigzag varint, -1 for null.

func textLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	n, u := 1, uint64(v)<<1^uint64(v>>63)
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func payloadLen(r *stream.Record) int {
	n := textLen(r.Key) + textLen(r.Value) + varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		k := len(r.Headers[i].Key)
		n += varintLen(int64(k)) + k + textLen(r.Headers[i].Value)
	}
	return n
}

// putPayload fills b, which has the length of payloadLen.
func putPayload(b []byte, r *stream.Record) {
	b = putText(b, r.Key)
	b = putText(b, r.Value)
	b = b[binary.PutVarint(b, int64(len(r.Headers))):]
	for i := range r.Headers {
		key := r.Headers[i].Key
		b = b[binary.PutVarint(b, int64(len(key))):]
		b = b[copy(b, key):]
		b = putText(b, r.Headers[i].Value)
	}
}

func putText(b, text []byte) []byte {
	if text == nil {
		b[0] = 1 // zigzag of -1
		return b[1:]
	}
	b = b[binary.PutVarint(b, int64(len(text))):]
	return b[copy(b, text):]
}

// takeText cuts a text off; nil is null.
func takeText(b []byte) (text, rest []byte, ok bool) {
	n, size := binary.Varint(b)
	if size <= 0 || n < -1 || n > int64(len(b)-size) {
		return nil, nil, false
	}
	if n < 0 {
		return nil, b[size:], true
	}
	end := size + int(n)
	return b[size:end:end], b[end:], true
}

// payloadHeaders is how many headers a payload announces, or 0 if it is none.
func payloadHeaders(b []byte) int64 {
	for range 2 {
		_, rest, ok := takeText(b)
		if !ok {
			return 0
		}
		b = rest
	}
	n, _ := binary.Varint(b)
	return n
}

// readPayload sets key, value and headers of r to what b says. They share its memory.
func readPayload(r *stream.Record, b []byte) (ok bool) {
	if r.Key, b, ok = takeText(b); !ok {
		return false
	}
	if r.Value, b, ok = takeText(b); !ok {
		return false
	}
	r.JSON = stream.JSONUnknown
	n, size := binary.Varint(b)
	if size <= 0 || n < 0 || n > int64(len(b)-size)/2 { // a header has two bytes at least
		return false
	}
	b = b[size:]
	r.Headers = nil
	if n > 0 {
		r.Headers = make([]stream.Header, n)
	}
	for i := range r.Headers {
		var key []byte
		if key, b, ok = takeText(b); !ok {
			return false
		}
		r.Headers[i].Key = string(key)
		if r.Headers[i].Value, b, ok = takeText(b); !ok {
			return false
		}
	}
	return len(b) == 0
}
