package runtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// projection is where the fields of a batch's records stand in their values: width of them for each record to hand over.
type projection struct {
	set   *fields.Set // nil: the guest wants none
	width int
	spare int // places more behind each descriptor, which the guest does not know of: see Spare
	spans []fields.Span
}

func (p *projection) begin(set *fields.Set) {
	p.set, p.width, p.spans = set, 0, p.spans[:0]
	if set != nil {
		p.width = len(set.Names())
	}
}

// of returns the fields of record todo[i].
func (p *projection) of(i int) []fields.Span { return p.spans[i*p.width : (i+1)*p.width] }

// fieldsBytes bounds what sp_fields may answer.
const fieldsBytes = fields.Most * (fields.NameBytes + 1)

// askFields calls sp_fields, if there is one: names, each with a zero byte behind it.
func (g *Guest) askFields(ctx context.Context, m api.Module) error {
	f := m.ExportedFunction("sp_fields")
	if f == nil {
		return nil
	}
	r, err := f.Call(ctx)
	if err != nil {
		return g.startError("sp_fields", err)
	}
	ptr, n := uint32(r[0]>>32), uint32(r[0])
	if n == 0 {
		return nil
	}
	names, ok := m.Memory().Read(ptr, n)
	if !ok || n > fieldsBytes || names[n-1] != 0 {
		return fmt.Errorf("sp_fields gives %d bytes at %d; it must be names in its memory, each with a zero byte behind it, of %d bytes in all at most", n, ptr, fieldsBytes)
	}
	g.instance.fields, err = fields.New(strings.Split(string(bytes.TrimSuffix(names, []byte{0})), "\x00"))
	if err != nil {
		return fmt.Errorf("sp_fields: %w", err)
	}
	return nil
}

// Fields are the names of the fields that the guest is given instead of the whole value, or beside it.
func (g *Guest) Fields() []string {
	if s, ok := g.session.(interface{ Fields() []string }); ok {
		return s.Fields()
	}
	if g.instance.fields == nil {
		return nil
	}
	return g.instance.fields.Names()
}

// takesTombstones says whether the guest can tell a null value from one that it is not given.
func (g *Guest) takesTombstones() bool {
	return g.plugin.form.takesTombstones() && (g.projected.set == nil || g.instance.mask&abi.Values != 0)
}

// project finds the fields of record i for a guest that wants some, and says whether to hand it over. What is no object
// goes to the dead letters.
func (g *Guest) project(b *stream.Batch, i int) bool {
	p, r := &g.projected, &b.Records[i]
	if p.set == nil {
		return true
	}
	at := len(p.spans)
	p.spans = slices.Grow(p.spans, p.width)[:at+p.width]
	if r.Value == nil {
		clear(p.spans[at:])
		return true
	}
	if err := p.set.Find(r.Value, p.spans[at:]); err != nil {
		p.spans = p.spans[:at]
		b.Fail(i, g.cause(stream.ReasonDecode, err.Error()))
		return false
	}
	if r.JSON != stream.JSONLocated {
		r.JSON = stream.JSONValid
	}
	return true
}

// handed returns the bytes of what is handed over of the record todo[i], and the number of its headers.
func (g *Guest) handed(b *stream.Batch, i int) (int64, int) {
	r := &b.Records[g.todo[i]]
	n, entries := size(r)
	n += int64(g.projected.places()) * abi.FieldSize
	if g.projected.set == nil {
		return n, entries
	}
	if g.instance.mask&abi.Values != 0 {
		return n, entries
	}
	n -= int64(len(r.Value))
	for _, s := range g.projected.of(i) {
		n += int64(s.Len())
	}
	return n, entries
}

// places are those for fields behind each descriptor.
func (p *projection) places() int { return p.width + p.spare }

// stride is that of the input batch.
func (g *Guest) stride() int { return abi.Stride(g.projected.places()) }
