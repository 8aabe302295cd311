package pipeline

import (
	"slices"
	"sort"

	"github.com/streamproc/streamproc/stream"
)

// tail is what a step is given again of a partition: the last that it was given, but for records that cost it its memory.
type tail struct {
	records []stream.Record
	from    int   // those before are too far back, and gone
	bytes   int64 // of the records
	next    int64 // the offset behind the last of them
	given   int64 // the memory has what lies below this offset, and all if it is next
	kept    int64 // the same of the memory that was kept
	missing int64 // below this offset a record is not here, for want of room or of credit, that ought to be
	credit  int   // records that may be given again
}

// What a record takes besides its key and value, and a header besides its own.
const (
	recordBytes = 256
	headerBytes = 40
)

// add appends a record that the memory has, and lets go of what lies too far back for the next one. It returns by how much the
// tail has grown.
func (t *tail) add(r *stream.Record, offsets int64) (grown int64) {
	kept := *r
	kept.Family, kept.Original = nil, nil
	kept = kept.Clone()
	t.records = append(t.records, kept)
	t.next = r.Origin.Offset + 1
	t.given = t.next
	was := t.bytes
	t.bytes += weight(&kept)
	end := t.from
	for t.records[end].Origin.Offset <= r.Origin.Offset-offsets {
		end++
	}
	t.take(t.from, end)
	return t.bytes - was
}

// cut takes records out for which there is no room or no credit.
func (t *tail) cut(from, to int) (bytes int64) {
	t.missing = t.records[to-1].Origin.Offset + 1
	return t.take(from, to)
}

// take takes records out, and returns what they took.
func (t *tail) take(from, to int) (bytes int64) {
	for i := from; i < to; i++ {
		bytes += weight(&t.records[i])
	}
	t.bytes -= bytes
	if from > t.from {
		t.records = slices.Delete(t.records, from, to)
		return bytes
	}
	clear(t.records[from:to])
	if t.from = to; to > len(t.records)/2 {
		t.records, t.from = slices.Delete(t.records, 0, to), 0
	}
	return bytes
}

// lacking is where the records begin that the memory has not.
func (t *tail) lacking() int {
	rs := t.records[t.from:]
	return t.from + sort.Search(len(rs), func(i int) bool { return rs[i].Origin.Offset >= t.given })
}

// short is how many offsets are missing of those that the next record looks back on.
func (t *tail) short(offsets int64) int64 { return t.missing - max(t.next-offsets, 0) }

// earn is for a record that is new.
func (t *tail) earn(offsets int64) {
	t.credit = min(t.credit+againPerRecord, againPerRecord*int(offsets))
}

func weight(r *stream.Record) int64 {
	n := recordBytes + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += headerBytes + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return int64(n)
}
