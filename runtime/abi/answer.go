package abi

import "math"

// Answer builds an output batch, for guests. Reset it for each batch; its buffers are kept.
type Answer struct {
	desc, data, buf []byte
	count           int
}

// Made is one output of a guest. A field that is nil is null; the Keep fields take the input's instead.
type Made struct {
	Source                       int
	Key, Value                   []byte
	KeepKey, KeepValue, KeepHdrs bool
	Timestamp                    int64 // InheritTime = the input's
	Output                       uint16
	Headers                      []Entry
}

// Entry is one record header.
type Entry struct{ Key, Value []byte }

// Reset empties the answer.
func (a *Answer) Reset() { a.desc, a.data, a.count = a.desc[:0], a.data[:0], 0 }

// Len returns the number of outputs.
func (a *Answer) Len() int { return a.count }

// Mark is a place in an answer, to go back to.
type Mark struct{ desc, data, count int }

// Mark returns where the answer ends now.
func (a *Answer) Mark() Mark { return Mark{len(a.desc), len(a.data), a.count} }

// Back takes off everything added since m.
func (a *Answer) Back(m Mark) { a.desc, a.data, a.count = a.desc[:m.desc], a.data[:m.data], m.count }

// Add appends one output. Sources must not decrease.
func (a *Answer) Add(m *Made) {
	var d [RecordSize]byte
	a.column(d[0:8], m.Key, m.KeepKey)
	a.column(d[8:16], m.Value, m.KeepValue)
	if m.KeepHdrs {
		le.PutUint32(d[16:], Inherit)
	} else {
		a.entries(d[16:24], m.Headers)
	}
	le.PutUint64(d[24:], uint64(m.Timestamp))
	le.PutUint32(d[40:], uint32(m.Source))
	le.PutUint16(d[44:], m.Output)
	a.desc = append(a.desc, d[:]...)
	a.count++
}

// column writes an offset into the data area, which Bytes moves behind the descriptors.
func (a *Answer) column(d, b []byte, keep bool) {
	switch {
	case keep:
		le.PutUint32(d, Inherit)
	case b == nil:
		le.PutUint32(d[4:], Null)
	default:
		le.PutUint32(d, uint32(len(a.data)))
		le.PutUint32(d[4:], uint32(len(b)))
		a.data = append(a.data, b...)
	}
}

func (a *Answer) entries(d []byte, es []Entry) {
	start := len(a.data)
	le.PutUint32(d, uint32(start))
	le.PutUint32(d[4:], uint32(len(es)))
	a.data = append(a.data, make([]byte, len(es)*EntrySize)...)
	for i, e := range es {
		var b [EntrySize]byte
		a.column(b[0:8], e.Key, false)
		a.column(b[8:16], e.Value, false)
		copy(a.data[start+i*EntrySize:], b[:])
	}
}

// Bytes returns the batch, valid until the next Reset.
func (a *Answer) Bytes() []byte {
	base := uint32(HeaderSize + len(a.desc))
	if uint64(base)+uint64(len(a.data)) > math.MaxInt32 {
		return nil
	}
	var h [HeaderSize]byte
	le.PutUint32(h[0:], Magic)
	le.PutUint16(h[4:], Version)
	le.PutUint16(h[6:], RecordSize)
	le.PutUint32(h[8:], uint32(a.count))
	le.PutUint32(h[12:], base+uint32(len(a.data)))
	a.buf = append(a.buf[:0], h[:]...)
	a.buf = append(a.buf, a.desc...)
	a.buf = append(a.buf, a.data...)
	for i := range a.count {
		a.shift(a.buf[HeaderSize+i*RecordSize:], base)
	}
	return a.buf
}

func (a *Answer) shift(d []byte, base uint32) {
	move := func(at []byte) {
		if off := le.Uint32(at); off&Inherit == 0 {
			le.PutUint32(at, off+base)
		}
	}
	move(d[0:])
	move(d[8:])
	if le.Uint32(d[16:]) == Inherit {
		return
	}
	n := int(le.Uint32(d[20:]))
	move(d[16:])
	for e := a.buf[le.Uint32(d[16:]):]; n > 0; n, e = n-1, e[EntrySize:] {
		move(e[0:])
		move(e[8:])
	}
}
