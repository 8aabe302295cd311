package fluvio

import (
	"encoding/binary"

	"github.com/streamproc/streamproc/runtime"
)

// Integers are big-endian, varints zigzag; a text has its length in 16 bits before it, other bytes in 32 bits or, within a
// record, as a varint.

const maxText = 1<<16 - 1

type writer struct{ b []byte }

func (w *writer) byte(v byte)     { w.b = append(w.b, v) }
func (w *writer) u16(v int)       { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) u32(v int)       { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) i64(v int64)     { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }
func (w *writer) varint(v int64)  { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) text(s string)   { w.u16(len(s)); w.b = append(w.b, s...) }
func (w *writer) bytes(b []byte)  { w.u32(len(b)); w.b = append(w.b, b...) }
func (w *writer) varied(b []byte) { w.varint(int64(len(b))); w.b = append(w.b, b...) }

// encode writes records [lo, hi) as the input of the guest.
func (s *session) encode(c *runtime.Call, lo, hi int, total []byte) []byte {
	first := c.Record(lo)
	raw, one := writer{}, writer{}
	raw.u32(hi - lo)
	for i := lo; i < hi; i++ {
		r := c.Record(i)
		one.b = one.b[:0]
		one.byte(0) // attributes
		one.varint(r.Timestamp - first.Timestamp)
		one.varint(r.Origin.Offset - first.Origin.Offset)
		if r.Key == nil {
			one.byte(0)
		} else {
			one.byte(1)
			one.varied(r.Key)
		}
		one.varied(r.Value)
		one.varint(0) // headers
		raw.varied(one.b)
	}
	w := writer{s.in[:0]}
	w.i64(first.Origin.Offset)
	w.bytes(raw.b)
	w.b = append(w.b, s.params...) // for guests from before init
	w.bytes(nil)                   // no record to join
	w.i64(first.Timestamp)
	if s.kind == aggregate {
		w.bytes(total)
	}
	s.in = w.b
	return w.b
}

// reader reads what a guest wrote. After a mistake it is bad, and reads zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) skip(n int64) {
	if n > int64(len(r.b)) {
		n = -1
	}
	r.take(int(n))
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) text() string {
	b := r.take(2)
	if b == nil {
		return ""
	}
	return string(r.take(int(binary.BigEndian.Uint16(b))))
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

// varied reads bytes behind a varint.
func (r *reader) varied() []byte {
	n := r.varint()
	if n > int64(len(r.b)) {
		n = -1
	}
	return r.take(int(n))
}

// record reads a record: its offset within the batch, its key, nil if there is none, and its value.
func (r *reader) record() (delta int64, key, value []byte) {
	inner := reader{b: r.varied(), bad: r.bad}
	inner.byte()
	inner.varint()
	delta = inner.varint()
	if inner.byte() == 1 {
		key = inner.varied()
	}
	value = inner.varied()
	r.bad = r.bad || inner.bad
	return delta, key, value
}
