package workshop

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

var contractRules = []rule{
	{"room for a large record", (*trial).room,
		"let sp_alloc answer with as much as it is asked for, up to limits: { memory: … }; a record may have 1 MiB", sp1},
	{"the arena may be anywhere", (*trial).moves,
		"read at the address that the call is given: sp_alloc may answer with another one each time", sp1},
	{"an empty batch is answered", (*trial).empty,
		"where count is 0 in the header of the batch, return 0", batched},
	{"descriptors may be longer", (*trial).longer,
		"step from one descriptor to the next by record_size of the batch's header, not by 48", batched},
	{"null and empty survive", (*trial).passes,
		"give key and headers of an output the offset 80000000 where they are those of the input, instead of copies", batched},
	{"odd values do not trap", (*trial).bears,
		"let the record fail, with a text: verdict 2 after sp1.error, in a script an error; a trap costs a fresh instance, and tells less", nil},
}

// largest is how many bytes are asked of sp_alloc for a record of the largest value that pipelines take by default.
func (t *trial) largest() int {
	if batched(t) == "" {
		return int(abi.InputLen(1, awkwardBytes, 0))
	}
	return awkwardBytes
}

func (t *trial) room(ctx context.Context) (saw string, err error) {
	n := t.largest()
	err = t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
		at, err := g.Arena(ctx, n)
		if err == nil && at == 0 {
			err = warnf("sp_alloc(%d) answers 0: a record of so many bytes would go to the dead letters, reason limit", n)
		}
		return err
	})
	return "", err
}

// moves has sp_alloc asked for other sizes before each call, as often as it takes to have the arena move.
func (t *trial) moves(ctx context.Context) (saw string, err error) {
	want, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	places := map[uint32]bool{}
	for _, sizes := range [][]int{{64}, {64, 100_000}, {700_000, 4_000, 64}, {100, 300_000, 600_000, 900_000}} {
		err := t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
			for _, n := range sizes {
				at, err := g.Arena(ctx, n)
				if err != nil {
					return err
				}
				places[at] = true
			}
			got, err := through(ctx, g, t.records, 0)
			if err != nil {
				return err
			}
			return otherwise("after sp_alloc was asked for other sizes", want, got)
		})
		if err != nil {
			return "", err
		}
	}
	if delete(places, 0); len(places) < 2 { // 0 is no room
		return "", skipping("sp_alloc always answers with the same address")
	}
	return "", nil
}

func (t *trial) empty(ctx context.Context) (saw string, err error) {
	return "", t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error { return g.Empty(ctx) })
}

func (t *trial) longer(ctx context.Context) (saw string, err error) {
	want, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	return "", t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
		g.Spare(1)
		got, err := through(ctx, g, t.records, 0)
		if err != nil {
			return err
		}
		return otherwise(fmt.Sprintf("with a record_size of %d", abi.Stride(len(g.Fields())+1)), want, got)
	})
}

// tags are a key and headers that no plugin makes by itself: if the first come out, the others have to come out too.
var tags = []stream.Record{
	{Key: []byte("key of plugin check"), Headers: []stream.Header{{Key: "plugin check", Value: []byte("value")}}},
	{Key: nil, Headers: []stream.Header{{Key: "plugin check", Value: nil}, {Key: "plugin check", Value: []byte("twice")}}},
	{Key: []byte{}, Headers: []stream.Header{{Key: "", Value: []byte{}}}},
}

// passes gives each record keys and headers that are easily lost.
func (t *trial) passes(ctx context.Context) (saw string, err error) {
	outs := make([][][]stream.Record, len(tags)) // by the number of the record
	for i := range tags {
		if outs[i], err = t.tagged(ctx, &tags[i]); err != nil {
			return "", err
		}
	}
	bare := 0
	for n, usual := range outs[0] {
		for i := range tags {
			if len(outs[i][n]) != len(usual) {
				return "", skipping(fmt.Sprintf("what becomes of record %d depends on its key or headers", n+1))
			}
			if err := survives(usual, outs[i][n], &tags[i]); err != nil {
				return "", fmt.Errorf("record %d: %w", n+1, err)
			}
		}
		if slices.ContainsFunc(usual, func(r stream.Record) bool { return len(r.Headers) == 0 }) {
			bare = n + 1
		}
	}
	if bare > 0 {
		return "", warnf("the outputs of record %d have lost its headers", bare)
	}
	return "", nil
}

// survives says what is lost of a tag in the outputs of a record, though it is not lost where the tag is the first.
func survives(usual, outs []stream.Record, tag *stream.Record) error {
	for i := range outs {
		usualKey, usualHeaders := passed(&usual[i], &tags[0])
		key, headers := passed(&outs[i], tag)
		if usualKey && !key {
			return fmt.Errorf("a key comes out as it went in, and the key %s as %s", quoted(tag.Key), quoted(outs[i].Key))
		}
		if usualHeaders && !headers {
			return fmt.Errorf("a header comes out as it went in, and %s as %s", headersOf(tag), headersOf(&outs[i]))
		}
	}
	return nil
}

// tagged runs the records with the key and the headers of tag, and returns what comes out of each.
func (t *trial) tagged(ctx context.Context, tag *stream.Record) (outs [][]stream.Record, err error) {
	b := batchOf(t.records)
	for i := range b.Records {
		b.Records[i].Key, b.Records[i].Headers = tag.Key, tag.Headers
	}
	outs = make([][]stream.Record, len(t.records))
	err = t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error { return g.Process(ctx, b) })
	for i := range b.Records {
		if r := &b.Records[i]; r.Fate == stream.Flowing {
			outs[r.Origin.Offset] = append(outs[r.Origin.Offset], *r)
		}
	}
	return outs, err
}

// passed says whether key and headers of an output are those of the input.
func passed(out, in *stream.Record) (key, headers bool) {
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	return same(out.Key, in.Key), slices.EqualFunc(out.Headers, in.Headers, func(a, b stream.Header) bool { return a.Key == b.Key && same(a.Value, b.Value) })
}

func quoted(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func headersOf(r *stream.Record) string {
	list := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		list[i] = fmt.Sprintf("%q: %s", h.Key, quoted(h.Value))
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// awkwardBytes is the size of the longest of the awkward values: the default limit of a record.
const awkwardBytes = 1 << 20

// awkward are values that hardly anybody has in mind.
var awkward = []struct {
	name  string
	value []byte
}{
	{"null", nil},
	{"an empty value", []byte{}},
	{"JSON that is not closed", []byte("{")},
	{"a list", []byte("[]")},
	{"a text", []byte(`"text"`)},
	{"a number", []byte("-0")},
	{"10,000 lists in each other", bytes.Repeat([]byte("["), 10_000)},
	{"what is not UTF-8", []byte{0xff, 0xfe, 0}},
	{"1 MiB of text", bytes.Repeat([]byte("x"), awkwardBytes)},
}

func awkwardRecords() (list []Record) {
	for _, a := range awkward {
		list = append(list, Record{Value: a.value})
	}
	return list
}

// bears runs the awkward values, but for the largest, which may cost more fuel than there is.
func (t *trial) bears(ctx context.Context) (saw string, err error) {
	few := awkwardRecords()[:len(awkward)-1]
	lines, err := t.Run(ctx, few)
	if err != nil {
		return "", err
	}
	return "", mishap(lines, func(n int) string { return awkward[n].name })
}

// mishap is what went wrong with records that the plugin did not fail itself: a breach of the contract, or a warning of a trap or
// a limit.
func mishap(lines []Line, name func(n int) string) error {
	first, n := "", 0
	for _, l := range lines {
		reason, message, _ := strings.Cut(l.Failed, ": ")
		what := fmt.Sprintf("%s: %s: %s", name(l.Input), reason, shown(message))
		switch stream.Reason(reason) {
		case stream.ReasonContract:
			return errors.New(what)
		case stream.ReasonTrap, stream.ReasonFuel, stream.ReasonDepth, stream.ReasonOutput, stream.ReasonLimit:
			first = cmp.Or(first, what)
			n++
		}
	}
	if n > 1 {
		return warnf("%d do, the first is %s", n, first)
	}
	if n == 1 {
		return warning(first)
	}
	return nil
}
