package abi

import "fmt"

// Output is an output batch as the host sees it.
type Output struct{ frame }

// Produced is one descriptor of an output batch.
type Produced struct {
	Key, Value                            []byte
	InheritKey, InheritValue, InheritHdrs bool
	HeaderCount                           int   // claimed number of record headers, not yet read
	Timestamp                             int64 // InheritTime = the input's
	Source                                int   // index of the input record
	Output                                int   // 0 = the normal output
}

// ParseOutput checks the header of an output batch and that its descriptors fit.
func ParseOutput(buf []byte) (Output, error) {
	f, err := parseFrame(buf)
	return Output{f}, err
}

// DataLen returns the length of the data area.
func (o *Output) DataLen() int { return len(o.buf) - o.data }

// Detach copies what Produced and Entries refer to, so that they no longer share memory with the buffer given to
// ParseOutput: one allocation for the data area. The descriptors are still read from that buffer.
func (o *Output) Detach() Detached {
	return Detached{data: append(make([]byte, 0, o.DataLen()), o.buf[o.data:]...), base: o.data}
}

// Detached is a copy of the data area of an output batch.
type Detached struct {
	data []byte
	base int
}

// slice resolves an offset and a length against the copy; the checks are those of frame.slice.
func (c *Detached) slice(d []byte) ([]byte, error) {
	off, n := int64(le.Uint32(d))-int64(c.base), int64(le.Uint32(d[4:]))
	if n == Null {
		return nil, nil
	}
	if n == 0 {
		return c.data[:0:0], nil
	}
	if off < 0 || off+n > int64(len(c.data)) {
		return nil, fmt.Errorf("%w: bytes %d+%d are outside the data area %d to %d",
			ErrMalformed, off+int64(c.base), n, c.base, c.base+len(c.data))
	}
	return c.data[off : off+n : off+n], nil
}

// inherit says whether an offset stands for the input's own field.
func inherit(off uint32) (bool, error) {
	if off&Inherit == 0 {
		return false, nil
	}
	if off != Inherit {
		return false, fmt.Errorf("%w: offset %08x is reserved", ErrMalformed, off)
	}
	return true, nil
}

// At reads descriptor i into p. Its slices share memory with c.
func (o *Output) At(i int, c *Detached, p *Produced) error {
	d, err := o.descriptor(i)
	if err != nil {
		return err
	}
	p.Timestamp, p.Source, p.Output = int64(le.Uint64(d[24:])), int(le.Uint32(d[40:])), int(le.Uint16(d[44:]))
	p.Key, p.Value, p.HeaderCount = nil, nil, 0
	if p.InheritKey, err = inherit(le.Uint32(d[0:])); err == nil && !p.InheritKey {
		p.Key, err = c.slice(d[0:8])
	}
	if err != nil {
		return fmt.Errorf("key of output %d: %w", i, err)
	}
	if p.InheritValue, err = inherit(le.Uint32(d[8:])); err == nil && !p.InheritValue {
		p.Value, err = c.slice(d[8:16])
	}
	if err != nil {
		return fmt.Errorf("value of output %d: %w", i, err)
	}
	if p.InheritHdrs, err = inherit(le.Uint32(d[16:])); err != nil {
		return fmt.Errorf("headers of output %d: %w", i, err)
	}
	if !p.InheritHdrs {
		p.HeaderCount = int(le.Uint32(d[20:]))
	}
	return nil
}

// Entries calls visit for each record header of output i, in order. The slices share memory with c.
func (o *Output) Entries(i int, c *Detached, visit func(key, value []byte)) error {
	d, err := o.descriptor(i)
	if err != nil {
		return err
	}
	off, n := int64(le.Uint32(d[16:]))-int64(c.base), int64(le.Uint32(d[20:]))
	if n == 0 {
		return nil
	}
	if off < 0 || off+n*EntrySize > int64(len(c.data)) {
		return fmt.Errorf("headers of output %d: %w: %d of them are outside the data area", i, ErrMalformed, n)
	}
	for ; n > 0; n, off = n-1, off+EntrySize {
		e := c.data[off : off+EntrySize]
		key, err := c.slice(e[0:8])
		if err != nil {
			return fmt.Errorf("header of output %d: %w", i, err)
		}
		value, err := c.slice(e[8:16])
		if err != nil {
			return fmt.Errorf("header of output %d: %w", i, err)
		}
		visit(key, value)
	}
	return nil
}
