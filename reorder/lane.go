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
	seen   int64 // end of the generation in which it was last seen
	known  bool  // next is known; otherwise the key settles
	loaded bool  // the store was asked
	dirty  bool  // changed since the last commit
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
	input     int64     // offset of the last input
	before    int64     // generation of log time before that input
	life      int64     // of a generation, in milliseconds
	committed int64     // generation before the floor of the last commit, if that was made here
	prepared  int64     // the same of the next one
	clock     int64     // stream time: logTime, or beyond it while caught up
	seen      time.Time // up to when the wall clock is in clock, or the last poll
	keys      map[string]*keyState
	names     int // bytes of the names of keys
	dirty     []*keyState
	deadlines heap[*held]
	floor     floor
	arrivals  int64
	count     int
	bytes     int
	query     int // index of its query in this batch, or -1
}

func newLane(key stream.StateKey, head int64, nonce string, now time.Time, life time.Duration) *lane {
	return &lane{key: key, head: head, nonce: nonce, logTime: math.MinInt64, clock: math.MinInt64, seen: now, keys: map[string]*keyState{},
		deadlines: heap[*held]{less: older}, floor: newFloor(), query: -1,
		input: -1, before: math.MinInt64, life: life.Milliseconds(), committed: math.MinInt64, prepared: math.MinInt64}
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
		k = &keyState{name: string(name), seen: math.MinInt64, wait: heap[*held]{less: func(a, b *held) bool { return a.order < b.order }}}
		l.keys[k.name] = k
		l.names += len(name)
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

// generation is when the one begins that a log time lies in. They are as long as a key lives that does not come.
func (l *lane) generation(logTime int64) int64 {
	if logTime == math.MinInt64 {
		return logTime
	}
	into := logTime % l.life
	if into < 0 {
		into += l.life
	}
	return logTime - into
}

// enter begins an input, unless it is of the one before.
func (l *lane) enter(offset int64) {
	if offset != l.input {
		l.input, l.before = offset, l.generation(l.logTime)
	}
}

// stale says that a whole generation has passed without a key, so that it is forgotten. It is so by the log alone: a
// rebuild finds the same. Nothing waits of such a key, since patience ends within a generation.
func (l *lane) stale(k *keyState) bool { return l.before >= k.seen+l.life }

// touch notes that a key is seen now.
func (l *lane) touch(k *keyState, now time.Time) {
	at := l.logTime
	if at == math.MinInt64 { // no timestamp was plausible yet
		at = now.UnixMilli()
	}
	if end := l.generation(at) + l.life; end > k.seen {
		k.seen = end
		l.mark(k)
	}
}

// forgotten is when keys were last seen that a worker at the last commit cannot ask for any more: before it.
func (l *lane) forgotten() int64 {
	if l.committed == math.MinInt64 {
		return l.committed
	}
	return l.committed - l.life + 1
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
	l.mark(k)
}

// mark has the next checkpoint store a key.
func (l *lane) mark(k *keyState) {
	if !k.dirty {
		k.dirty = true
		l.dirty = append(l.dirty, k)
	}
}

// add puts a record among those that wait for their turn. Its gap is over max after the stream time of its arrival.
func (l *lane) add(h *held, k *keyState, sequence int64, patience time.Duration, now time.Time) {
	h.key, h.order, h.since = k, sequence, now
	h.deadline = l.logTime + patience.Milliseconds()
	h.arrival, h.before = l.arrivals, l.before
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
	l.deadlines.prune(l.count, func(h *held) bool { return !h.gone })
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

// over says that there are more keys than so many, or that their names take more bytes than so many.
func (l *lane) over(keys, names int) bool { return len(l.keys) > keys || l.names > names }

// trim forgets keys that the store knows as well, when there are many.
func (l *lane) trim() {
	if !l.over(keysLimit, namesLimit) {
		return
	}
	for name, k := range l.keys {
		if !k.dirty && k.wait.len() == 0 {
			delete(l.keys, name)
			l.names -= len(name)
		}
	}
}
