package abi

import (
	"encoding/binary"
	"fmt"
	"math"
)

var le = binary.LittleEndian

// InputLen returns how many bytes a batch of count records needs, whose keys, values and record headers come to
// dataLen bytes, and which has entries record headers.
func InputLen(count int, dataLen int64, entries int) int64 {
	// Each record with headers may need 7 bytes to align its entries.
	return HeaderSize + int64(count)*RecordSize + dataLen + int64(entries)*(EntrySize+8)
}

// Writer lays an input batch into a buffer, which is usually a view of a guest's memory. The caller gives a buffer of
// InputLen bytes; a Writer that runs out of room says so in Finish and never writes beyond it.
type Writer struct {
	buf     []byte
	at      int // end of the data so far
	count   int
	stride  int
	desc    []byte // of the record added last
	value   []byte // of the record added last, which begins at valueAt if it is loaded
	valueAt int
	next    int // index of the next record
	baseTS  int64
	mask    uint32
	full    bool
}

// NewWriter begins a batch of count records in buf. mask says which columns are copied.
func NewWriter(buf []byte, count int, mask uint32) Writer {
	w := Writer{buf: buf, count: count, baseTS: math.MaxInt64, mask: mask}
	w.Project(0)
	return w
}

// Project makes room for so many fields of each record. It comes before the first Add; the batch needs FieldSize bytes more
// for each.
func (w *Writer) Project(fields int) {
	w.stride = Stride(fields)
	w.at = HeaderSize + w.count*w.stride
	w.full = w.count < 0 || w.stride > math.MaxUint16 || w.at > len(w.buf)
}

// Add writes the next record, without record headers.
func (w *Writer) Add(r *Row) {
	if w.full || w.next >= w.count {
		w.full = true
		return
	}
	d := w.buf[HeaderSize+w.next*w.stride:][:w.stride:w.stride]
	w.next++
	w.desc, w.value = d, r.Value
	w.baseTS = min(w.baseTS, r.Timestamp)
	le.PutUint32(d[16:], uint32(w.at))
	le.PutUint32(d[20:], 0)
	le.PutUint64(d[24:], uint64(r.Timestamp))
	le.PutUint64(d[32:], uint64(r.Offset))
	le.PutUint32(d[40:], r.Partition)
	le.PutUint16(d[44:], r.Topic)
	d[verdictAt] = Keep
	d[verdictFlagsAt] = uint8(^w.mask & AllColumns)
	w.column(d[0:8], r.Key, Keys)
	w.valueAt = w.at
	w.column(d[8:16], r.Value, Values)
	for f := d[RecordSize:]; len(f) > 0; f = f[FieldSize:] {
		le.PutUint32(f[0:], uint32(w.at))
		le.PutUint32(f[4:], Null)
	}
}

// Field sets field i of the record added last to a part of its value, which is copied unless the value is loaded. A field
// that is not set is missing.
func (w *Writer) Field(i int, from, to uint32) {
	at := Stride(i)
	if w.full || i < 0 || at+FieldSize > len(w.desc) || from > to || int64(to) > int64(len(w.value)) {
		w.full = true
		return
	}
	le.PutUint32(w.desc[at+4:], to-from)
	if w.mask&Values != 0 {
		le.PutUint32(w.desc[at:], uint32(w.valueAt)+from)
		return
	}
	le.PutUint32(w.desc[at:], uint32(w.at))
	w.bytes(w.value[from:to])
}

func (w *Writer) column(d, b []byte, bit uint32) {
	if w.mask&bit == 0 {
		b = nil
	}
	le.PutUint32(d[0:4], uint32(w.at))
	if b == nil {
		le.PutUint32(d[4:8], Null)
		return
	}
	le.PutUint32(d[4:8], uint32(len(b)))
	w.bytes(b)
}

func (w *Writer) bytes(b []byte) {
	if len(b) > len(w.buf)-w.at {
		w.full = true
		return
	}
	w.at += copy(w.buf[w.at:], b)
}

// Entries reserves n record headers for the record added last; the caller fills them with Entry, in order.
func (w *Writer) Entries(n int) {
	if w.mask&Headers == 0 || n == 0 || w.full || w.next == 0 {
		return
	}
	start := (w.at + 7) &^ 7
	if int64(start)+int64(n)*EntrySize > int64(len(w.buf)) {
		w.full = true
		return
	}
	d := w.desc
	le.PutUint32(d[16:], uint32(start))
	le.PutUint32(d[20:], uint32(n))
	w.at = start + n*EntrySize
}

// Entry fills entry i of the record added last.
func (w *Writer) Entry(i int, key string, value []byte) {
	if w.mask&Headers == 0 || w.full || w.next == 0 {
		return
	}
	d := w.desc
	if i < 0 || uint32(i) >= le.Uint32(d[20:]) {
		w.full = true
		return
	}
	e := w.buf[int(le.Uint32(d[16:]))+i*EntrySize:][:EntrySize]
	le.PutUint32(e[0:], uint32(w.at))
	le.PutUint32(e[4:], uint32(len(key)))
	if len(key) > len(w.buf)-w.at {
		w.full = true
		return
	}
	w.at += copy(w.buf[w.at:], key)
	le.PutUint32(e[8:], uint32(w.at))
	le.PutUint32(e[12:], Null)
	if value != nil {
		le.PutUint32(e[12:], uint32(len(value)))
		w.bytes(value)
	}
}

// Finish writes the header and returns the length of the batch.
func (w *Writer) Finish() (int, error) {
	if w.full || w.next != w.count || w.at > MaxLen {
		return 0, fmt.Errorf("%w: %d of %d records fit into %d bytes", ErrMalformed, w.next, w.count, len(w.buf))
	}
	if w.count == 0 {
		w.baseTS = 0
	}
	h := w.buf[:HeaderSize]
	le.PutUint32(h[0:], Magic)
	le.PutUint16(h[4:], Version)
	le.PutUint16(h[6:], uint16(w.stride))
	le.PutUint32(h[8:], uint32(w.count))
	le.PutUint32(h[12:], uint32(w.at))
	le.PutUint64(h[16:], uint64(w.baseTS))
	le.PutUint32(h[CursorAt:], 0)
	le.PutUint32(h[28:], w.mask)
	return w.at, nil
}

// Input is an input batch as a guest sees it.
type Input struct{ frame }

// ParseInput checks the header of an input batch and that its descriptors fit.
func ParseInput(buf []byte) (Input, error) {
	f, err := parseFrame(buf)
	return Input{f}, err
}

// Columns returns which columns are loaded.
func (in Input) Columns() uint32 { return le.Uint32(in.buf[28:]) & AllColumns }

// Row returns record i. Its slices share memory with the batch.
func (in Input) Row(i int) (Row, error) {
	d, err := in.descriptor(i)
	if err != nil {
		return Row{}, err
	}
	r := Row{
		Timestamp: int64(le.Uint64(d[24:])),
		Offset:    int64(le.Uint64(d[32:])),
		Partition: le.Uint32(d[40:]),
		Topic:     le.Uint16(d[44:]),
	}
	if r.Key, err = in.slice(d[0:8]); err != nil {
		return r, fmt.Errorf("key of record %d: %w", i, err)
	}
	if r.Value, err = in.slice(d[8:16]); err != nil {
		return r, fmt.Errorf("value of record %d: %w", i, err)
	}
	return r, nil
}

// Fields returns for how many fields of each record there is room.
func (in Input) Fields() int { return (in.stride - RecordSize) / FieldSize }

// Field returns field n of record i as its JSON stands in the value, or nil: it is missing.
func (in Input) Field(i, n int) ([]byte, error) {
	if i < 0 || i >= in.count || n < 0 || n >= in.Fields() {
		return nil, fmt.Errorf("%w: no field %d of record %d", ErrMalformed, n, i)
	}
	b, err := in.slice(in.buf[HeaderSize+i*in.stride+Stride(n):][:FieldSize])
	if err != nil {
		return nil, fmt.Errorf("field %d of record %d: %w", n, i, err)
	}
	return b, nil
}

// Entries calls visit for each record header of record i, in order.
func (in Input) Entries(i int, visit func(key, value []byte)) error {
	d, err := in.descriptor(i)
	if err != nil {
		return err
	}
	return in.entries(d, visit)
}

// SetVerdict answers for record i.
func (in Input) SetVerdict(i int, v Verdict) {
	if d, err := in.descriptor(i); err == nil {
		d[verdictAt] = v
	}
}

// SetCursor says which record is being worked on.
func (in Input) SetCursor(i int) { le.PutUint32(in.buf[CursorAt:], uint32(i)) }

// Cursor reads what a guest stored as the record it was working on, from the first bytes of a batch.
func Cursor(buf []byte) (uint32, bool) {
	if len(buf) < HeaderSize {
		return 0, false
	}
	return le.Uint32(buf[CursorAt:]), true
}

// Verdicts reads the verdicts of the first len(dst) records from an answered input batch. Its stride is that with which it
// was written: what stands in it now is the guest's.
func Verdicts(dst []Verdict, buf []byte, stride int) error {
	if int64(len(buf)) < HeaderSize+int64(len(dst))*int64(stride) {
		return fmt.Errorf("%w: %d bytes are too short for %d verdicts", ErrMalformed, len(buf), len(dst))
	}
	for i, at := 0, HeaderSize+verdictAt; i < len(dst); i, at = i+1, at+stride {
		dst[i] = buf[at]
	}
	return nil
}
