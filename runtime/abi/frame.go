package abi

import "fmt"

// frame is what both batches have in common: header, descriptors, data area.
type frame struct {
	buf    []byte
	count  int
	stride int
	data   int // where the data area begins
}

func parseFrame(buf []byte) (frame, error) {
	if len(buf) < HeaderSize {
		return frame{}, fmt.Errorf("%w: %d bytes are no header", ErrMalformed, len(buf))
	}
	if m := le.Uint32(buf); m != Magic {
		return frame{}, fmt.Errorf("%w: magic is %08x, not %08x", ErrMalformed, m, uint32(Magic))
	}
	if v := le.Uint16(buf[4:]); v != Version {
		return frame{}, fmt.Errorf("%w: version is %d, not %d", ErrMalformed, v, Version)
	}
	stride, count, total := int64(le.Uint16(buf[6:])), int64(le.Uint32(buf[8:])), int64(le.Uint32(buf[12:]))
	if stride < RecordSize {
		return frame{}, fmt.Errorf("%w: record_size is %d, less than %d", ErrMalformed, stride, RecordSize)
	}
	if total > int64(len(buf)) {
		return frame{}, fmt.Errorf("%w: total_len is %d, in %d bytes", ErrMalformed, total, len(buf))
	}
	data := HeaderSize + stride*count
	if data > total {
		return frame{}, fmt.Errorf("%w: %d descriptors of %d bytes do not fit into %d", ErrMalformed, count, stride, total)
	}
	return frame{buf: buf[:total], count: int(count), stride: int(stride), data: int(data)}, nil
}

// Len returns the number of descriptors.
func (f *frame) Len() int { return f.count }

func (f *frame) descriptor(i int) ([]byte, error) {
	if i < 0 || i >= f.count {
		return nil, fmt.Errorf("%w: no descriptor %d of %d", ErrMalformed, i, f.count)
	}
	return f.buf[HeaderSize+i*f.stride:][:RecordSize], nil
}

// slice resolves an offset and a length.
func (f *frame) slice(d []byte) ([]byte, error) {
	off, n := int64(le.Uint32(d)), int64(le.Uint32(d[4:]))
	if n == Null {
		return nil, nil
	}
	if n == 0 {
		return []byte{}, nil
	}
	if off < int64(f.data) || off+n > int64(len(f.buf)) {
		return nil, fmt.Errorf("%w: bytes %d+%d are outside the data area %d to %d", ErrMalformed, off, n, f.data, len(f.buf))
	}
	return f.buf[off : off+n : off+n], nil
}

func (f *frame) entries(d []byte, visit func(key, value []byte)) error {
	off, n := int64(le.Uint32(d[16:])), int64(le.Uint32(d[20:]))
	if n == 0 {
		return nil
	}
	if off < int64(f.data) || off+n*EntrySize > int64(len(f.buf)) {
		return fmt.Errorf("%w: %d record headers at %d are outside the data area", ErrMalformed, n, off)
	}
	for ; n > 0; n, off = n-1, off+EntrySize {
		e := f.buf[off : off+EntrySize]
		key, err := f.slice(e[0:8])
		if err != nil {
			return fmt.Errorf("record header: %w", err)
		}
		value, err := f.slice(e[8:16])
		if err != nil {
			return fmt.Errorf("record header: %w", err)
		}
		visit(key, value)
	}
	return nil
}
