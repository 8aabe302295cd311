// Package judge says from the content of the output alone what became of a load: what was lost, what came twice, what came
// out of order. It asks nothing of the program that it judges.
package judge

import (
	"bytes"
	"slices"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
)

// Verdict counts. But for Wanted, Arrived and Repeated, all zero is the only good one.
type Verdict struct {
	Wanted     int64 `json:"wanted"`     // ids that must come out, or go to the dead letters
	Arrived    int64 `json:"arrived"`    // of those, ids that did
	Lost       int64 `json:"lost"`       // of those, ids that did not
	Leaked     int64 `json:"leaked"`     // records that are a later copy of their id
	Repeated   int64 `json:"repeated"`   // records that came again, the same copy
	Unexcused  int64 `json:"unexcused"`  // of those, records that no fault explains
	Misordered int64 `json:"misordered"` // first appearances behind a later one of their key, or on another partition
	Altered    int64 `json:"altered"`    // records whose key or value is not what was written
	Foreign    int64 `json:"foreign"`    // records that nobody wrote
	Unwanted   int64 `json:"unwanted"`   // records that were to be dropped, or to be out instead of dead, or dead instead of out
}

// Sound says whether the promise was kept. Exactly once, nothing may come twice; at least once, only what a fault explains.
func (v Verdict) Sound(exactlyOnce bool) bool {
	twice := v.Unexcused
	if exactlyOnce {
		twice = v.Repeated
	}
	return v.Lost+v.Leaked+twice+v.Misordered+v.Altered+v.Foreign+v.Unwanted == 0
}

// Add adds up the counts of two loads.
func (v Verdict) Add(w Verdict) Verdict {
	return Verdict{v.Wanted + w.Wanted, v.Arrived + w.Arrived, v.Lost + w.Lost, v.Leaked + w.Leaked, v.Repeated + w.Repeated,
		v.Unexcused + w.Unexcused, v.Misordered + w.Misordered, v.Altered + w.Altered, v.Foreign + w.Foreign, v.Unwanted + w.Unwanted}
}

// Excuse is a time in which a fault makes repeats of output legitimate: a record may come again until End if it had
// come after Begin, that is, when it may not have been committed yet as the fault happened.
type Excuse struct{ Begin, End time.Time }

// Judge takes what comes out, in the order of each partition. It is for one goroutine at a time.
type Judge struct {
	load    load.Load
	first   []uint32 // by id: when it first came, in milliseconds since epoch, plus one; zero: it has not; the highest bit: as a later copy
	high    []int64  // by key: the highest number that came, plus one
	where   []int32  // by key: the partition of its first record, plus one
	repeats []repeat
	flow    Flow
	epoch   time.Time
	verdict Verdict
	buf     []byte
}

// repeat is a record that came again.
type repeat struct{ first, again uint32 }

// New expects a load. No record comes before epoch.
func New(l load.Load, epoch time.Time) *Judge {
	j := &Judge{load: l, epoch: epoch, first: make([]uint32, l.IDs), high: make([]int64, l.AllKeys()), where: make([]int32, l.AllKeys())}
	j.flow = Flow{epoch: epoch, partitions: map[int32][]uint32{}}
	for id := range l.IDs {
		if l.Fate(id) != load.Dropped {
			j.verdict.Wanted++
		}
	}
	j.verdict.Lost = j.verdict.Wanted
	return j
}

// Out takes a record of the output topic, with the time at which the broker appended it. It keeps neither key nor value.
func (j *Judge) Out(partition int32, at time.Time, key, value []byte) {
	t, ok := j.known(key, value)
	switch {
	case !ok:
	case j.load.Fate(t.ID) != load.Out:
		j.verdict.Unwanted++
	case j.arrived(t, at):
		j.order(partition, t.ID)
		if !j.load.Scattered { // else only where it comes out tells who owned its key
			partition = j.load.Partition(t)
		}
		j.flow.add(partition, j.milliseconds(at))
	}
}

// Dead takes a record of the dead-letter topic.
func (j *Judge) Dead(at time.Time, key, value []byte) {
	t, ok := j.known(key, value)
	switch {
	case !ok:
	case j.load.Fate(t.ID) != load.Dead:
		j.verdict.Unwanted++
	default:
		j.arrived(t, at)
	}
}

// known says which ticket a record is, if it is one that was written.
func (j *Judge) known(key, value []byte) (load.Ticket, bool) {
	t, ok := load.Parse(value)
	if !ok || t.ID < 0 || t.ID >= j.load.IDs {
		j.verdict.Foreign++
		return t, false
	}
	j.buf = j.load.AppendKey(j.buf[:0], t.ID)
	same := bytes.Equal(key, j.buf)
	j.buf = j.load.AppendValue(j.buf[:0], t)
	if !same || !bytes.Equal(value, j.buf) {
		j.verdict.Altered++
	}
	return t, true
}

// asCopy marks the first appearance of an id that was not its first record.
const asCopy = 1 << 31

// arrived says whether this is the first appearance of an id. Where the records of an id lie in several partitions, nothing
// says which of them is the first: any may come out, but one alone.
func (j *Judge) arrived(t load.Ticket, at time.Time) bool {
	now, mark := j.milliseconds(at), uint32(0)
	if t.Copy != 0 {
		mark = asCopy
	}
	switch before := j.first[t.ID]; {
	case t.Copy != 0 && !j.load.Scattered, before != 0 && before&asCopy != mark:
		j.verdict.Leaked++
		return false
	case before != 0:
		j.verdict.Repeated++
		j.repeats = append(j.repeats, repeat{before&^asCopy - 1, now})
		return false
	}
	j.first[t.ID] = (now + 1) | mark
	j.verdict.Arrived++
	j.verdict.Lost--
	return true
}

func (j *Judge) order(partition int32, id int64) {
	key, next := j.load.Key(id), j.load.Seq(id)+1
	if next <= j.high[key] || j.where[key] != 0 && j.where[key] != partition+1 {
		j.verdict.Misordered++
	}
	j.high[key], j.where[key] = max(j.high[key], next), partition+1
}

func (j *Judge) milliseconds(at time.Time) uint32 {
	return uint32(max(0, at.Sub(j.epoch).Milliseconds()))
}

// Missing is how many ids have not come yet.
func (j *Judge) Missing() int64 { return j.verdict.Lost }

// Verdict is the judgement of what has come so far. A repeat is excused by any one of the excuses.
func (j *Judge) Verdict(excuses []Excuse) Verdict {
	v := j.verdict
	for _, r := range j.repeats {
		if !j.excused(r, excuses) {
			v.Unexcused++
		}
	}
	return v
}

func (j *Judge) excused(r repeat, excuses []Excuse) bool {
	return slices.ContainsFunc(excuses, func(e Excuse) bool {
		return r.first >= j.milliseconds(e.Begin) && r.again <= j.milliseconds(e.End)
	})
}

// Unexcused counts the repeats that nothing excuses by the second in which they first came and that in which they came again.
func (j *Judge) Unexcused(excuses []Excuse) map[[2]time.Time]int {
	n := map[[2]time.Time]int{}
	for _, r := range j.repeats {
		if !j.excused(r, excuses) {
			n[[2]time.Time{j.second(r.first), j.second(r.again)}]++
		}
	}
	return n
}

func (j *Judge) second(ms uint32) time.Time {
	return j.epoch.Add(time.Duration(ms) * time.Millisecond).Truncate(time.Second)
}

// Within counts the repeats that came between two moments.
func (j *Judge) Within(from, to time.Time) (n int) {
	for _, r := range j.repeats {
		if r.again >= j.milliseconds(from) && r.again < j.milliseconds(to) {
			n++
		}
	}
	return n
}

// Flow is when new ids came, by partition of the input.
func (j *Judge) Flow() *Flow { return &j.flow }
