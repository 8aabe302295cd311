package dedup

import (
	"fmt"
	"slices"
	"time"

	"github.com/streamproc/streamproc/stream"
)

const (
	segmentBytes = 32 << 20 // a segment ends here: far below the 512 MB of a Redis string, and cheap to cut
	turnBytes    = 1 << 20  // a segment of at least this size ends with its generation, so that it can be removed
	// keepOffsets are kept in the log even when the window has passed them: they may be read again, if a step behind
	// dedup holds the floor back.
	keepOffsets = 1 << 20
)

type segment struct {
	number, length int64
	gen, to        int64 // of its last entry
}

// partition is the state of one partition.
type partition struct {
	key   stream.StateKey
	token string
	hash  *hasher
	window
	label    []byte // for sp-duplicate-of
	head     int64  // end of the log: the verdicts of lower offsets are known
	done     int64  // offsets below were processed in this membership
	fresh    bool   // the store has no log yet
	volatile bool   // there is no log to write
	blind    bool   // the store was away at Open: nothing is known
	segments []segment
	skips    []stream.Range // offsets that nobody processed: no copies are looked for there
	known    []entry        // entries with offsets that will be read again
	open     entry          // verdicts not in the log yet
}

func newPartition(key stream.StateKey, length time.Duration) *partition {
	return &partition{key: key, window: *newWindow(length), label: fmt.Appendf(nil, "%s/%d", key.Topic, key.ID)}
}

// judge says whether the record is the first of its id: what the log says, or else what the window says.
func (p *partition) judge(s *Step, r *stream.Record, sub int, id []byte, now time.Time) (bool, error) {
	offset := r.Origin.Offset
	if offset < p.head {
		return p.verdict(offset, sub)
	}
	if p.skipped(offset) {
		return p.volatile, nil // for the steps behind, they are there
	}
	if sub == 0 {
		p.advance(s, offset, p.generation(r.Timestamp, now))
	}
	d := p.hash.digest(id)
	if !p.window.first(d) {
		return false, nil
	}
	if !p.volatile {
		p.open.first(offset, sub, d)
	}
	return true, nil
}

func (p *partition) skipped(offset int64) bool {
	return slices.ContainsFunc(p.skips, func(r stream.Range) bool { return r.From <= offset && offset < r.To })
}

// verdict looks up what was said of an offset before.
func (p *partition) verdict(offset int64, sub int) (bool, error) {
	for len(p.known) > 0 && p.known[0].to <= offset {
		p.known = p.known[1:]
	}
	if len(p.known) == 0 || offset < p.known[0].from {
		return false, fmt.Errorf("partition %s has no verdict for offset %d below %d: %w", p.key.Partition, offset, p.head, stream.ErrLost)
	}
	return p.known[0].isFirst(offset, sub), nil
}

// advance ends the open entry before offset where the generation changes or the span grows too wide.
func (p *partition) advance(s *Step, offset, gen int64) {
	if gen != p.gen || offset-p.open.from > spanLimit {
		p.finish(s, offset)
		p.turn(gen)
		p.open.gen = p.gen
	}
}

// finish ends the open entry at offset to, and hands it to the step for storing.
func (p *partition) finish(s *Step, to int64) {
	p.done = max(p.done, to)
	if to <= p.head || p.volatile {
		return
	}
	p.open.to = to
	start := len(s.buffer)
	s.buffer = p.open.append(s.buffer)
	s.appends = append(s.appends, p.appendix(s.buffer[start:len(s.buffer):len(s.buffer)]))
	p.head, p.fresh = to, false
	p.open.reset(to, p.gen)
}

// appendix makes the call that stores the open entry.
func (p *partition) appendix(data []byte) stream.LogAppend {
	if n := len(p.segments); n == 0 {
		p.segments = append(p.segments, segment{number: 1})
	} else if last := &p.segments[n-1]; last.length+int64(len(data)) > segmentBytes || (last.gen != p.gen && last.length >= turnBytes) {
		p.segments = append(p.segments, segment{number: last.number + 1})
	}
	for len(p.segments) > 1 && p.segments[0].gen < p.gen-1 && p.segments[0].to < p.open.to-keepOffsets {
		p.segments = p.segments[1:]
	}
	last := &p.segments[len(p.segments)-1]
	a := stream.LogAppend{Key: p.key, Token: p.token, From: p.open.from, To: p.open.to, Segment: last.number,
		Length: last.length, First: p.segments[0].number, Data: data, Init: p.fresh}
	last.length += int64(len(data))
	last.gen, last.to = p.gen, p.open.to
	return a
}

// begin makes the log start at an offset.
func (p *partition) begin(at int64) {
	p.head, p.fresh = at, true
	p.open.reset(at, p.gen)
}
