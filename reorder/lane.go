package reorder

import (
	"math"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// keyState is one key of a partition: the sequence that is next, and the records that wait for it.
type keyState struct {
	name   string
	next   int64
	known  bool // next is known; otherwise the key settles
	loaded bool // the store was asked
	dirty  bool // changed since the last commit
	wait   heap[*held]
	have   map[int64]struct{} // sequences in wait
}

// lane is the state of one partition in sequence mode.
type lane struct {
	key       stream.StateKey
	head      int64     // offsets below were polled before this membership
	polled    int64     // offsets below were polled in this one
	nonce     string    // of the last commit
	logTime   int64     // running maximum of the records' timestamps
	clock     int64     // stream time: logTime, or beyond it while caught up
	seen      time.Time // up to when the wall clock is in clock, or the last poll
	keys      map[string]*keyState
	dirty     []*keyState
	deadlines heap[*held]
	floor     floor
	arrivals  int64
	count     int
	bytes     int
	query     int // index of its query in this batch, or -1
}

func newLane(key stream.StateKey, head int64, nonce string, now time.Time) *lane {
	return &lane{key: key, head: head, nonce: nonce, logTime: math.MinInt64, clock: math.MinInt64, seen: now, keys: map[string]*keyState{},
		deadlines: heap[*held]{less: older}, floor: newFloor(), query: -1}
}

// older orders records by the end of their patience, which is the order in which they came.
func older(a, b *held) bool {
	if a.deadline != b.deadline {
		return a.deadline < b.deadline
	}
	return a.arrival < b.arrival
}

func (l *lane) state(name []byte) *keyState {
	k := l.keys[string(name)]
	if k == nil {
		k = &keyState{name: string(name), wait: heap[*held]{less: func(a, b *held) bool { return a.order < b.order }}}
		l.keys[k.name] = k
	}
	return k
}

// observe moves stream time to a record's timestamp.
func (l *lane) observe(timestamp int64, now time.Time) {
	if timestamp <= now.Add(aheadLimit).UnixMilli() {
		l.logTime = max(l.logTime, timestamp)
		l.clock = max(l.clock, l.logTime)
	}
}

// idle moves stream time with the wall clock. It goes on from where it was committed, so that patience does not start anew
// with each membership.
func (l *lane) idle(now time.Time) {
	if ms := now.Sub(l.seen).Milliseconds(); ms > 0 {
		l.clock += ms
		l.seen = l.seen.Add(time.Duration(ms) * time.Millisecond)
	}
}

func (l *lane) advance(k *keyState, next int64) {
	k.next = next
	if !k.dirty {
		k.dirty = true
		l.dirty = append(l.dirty, k)
	}
}

// add puts a record among those that wait for their turn. Its gap is over max after the stream time of its arrival.
func (l *lane) add(h *held, k *keyState, sequence int64, patience time.Duration, now time.Time) {
	h.key, h.order, h.since = k, sequence, now
	h.deadline = l.logTime + patience.Milliseconds()
	h.arrival = l.arrivals
	l.arrivals++
	if k.have == nil {
		k.have = map[int64]struct{}{}
	}
	k.have[sequence] = struct{}{}
	k.wait.push(h)
	l.deadlines.push(h)
	l.floor.hold(h.record.Origin.Offset, now)
	l.count++
	l.bytes += h.record.Size()
}

// take removes the record that is first among those of its key.
func (l *lane) take(k *keyState) *held {
	h := k.wait.pop()
	if delete(k.have, h.order); k.wait.len() == 0 {
		k.have, k.wait.items = nil, nil
	}
	l.floor.release(h.record.Origin.Offset)
	l.count--
	l.bytes -= h.record.Size()
	return h
}

// oldest returns the record whose gap has lasted longest, or nil.
func (l *lane) oldest() *held {
	for l.deadlines.len() > 0 {
		if h := l.deadlines.top(); !h.gone {
			return h
		}
		l.deadlines.pop()
	}
	return nil
}

// trim forgets keys that the store knows as well, when there are many.
func (l *lane) trim(limit int) {
	if len(l.keys) <= limit {
		return
	}
	for name, k := range l.keys {
		if !k.dirty && k.wait.len() == 0 {
			delete(l.keys, name)
		}
	}
}
