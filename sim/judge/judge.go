// Package judge decides whether a pipeline kept its promises. It reads what was sent, what came out, what went to the dead
// letters and what was committed, and knows nothing of the engine.
//
// The rules bear the numbers that the findings are reported under:
//
//	C1  every record that was acknowledged to its producer comes out, or its id does, or it is a dead letter
//	C2  an id comes out once within the window, and it is its first copy that does
//	C3  what comes out of a key is in order; a step missing in it is a dead letter
//	C4  what comes out is what went in
//	C5  nothing comes out that was not sent to this pipeline
//	C6  committed offsets never go back
//	C8  once the faults have ended everything is delivered: what is not, and not committed past, is undelivered, not lost
//	C10 where delivery is at least once, a record comes out again only around a fault
package judge

import (
	"fmt"
	"slices"
	"time"
)

// Order is what a pipeline promises about the order of its outputs.
type Order uint8

// The orders.
const (
	AsSent     Order = iota // of each key: the order in which first copies stand in the log
	BySequence              // of each key: ascending sequences, each once
	ByTime                  // of each key: event times do not descend
	Unordered               // none
)

// Promise is what a pipeline was configured to do.
type Promise struct {
	Once    bool          // exactly once; otherwise at least once
	Window  time.Duration // copies of an id within it are dropped; 0: there is no dedup
	Global  bool          // copies are dropped wherever they are: any one of them comes out. Window is longer than the log
	Order   Order
	Gapless bool // by sequence: nothing is missing and nothing comes too late, so nothing may be skipped
	Settle  time.Duration
}

// Sent is one record that was acknowledged to its producer.
type Sent struct {
	Number    int // tells this record from all others, copies of it too
	Partition int32
	Offset    int64
	At        time.Time // timestamp in the log
	Key, ID   string
	Sequence  int64
	Event     int64 // event time
	Value     string
	Broken    bool // it cannot be processed: it belongs to the dead letters
}

// Seen is one record of an output, in the order of its partition.
type Seen struct {
	Number    int // as in Sent; -1 if it cannot be read
	Partition int32
	Offset    int64
	At        time.Time
	Key       string
	Value     string
}

// Dead is one dead letter.
type Dead struct {
	Partition int32 // where the record was read
	Offset    int64
	Reason    string
}

// Commit is an offset that the group held at some time.
type Commit struct {
	Partition int32
	Offset    int64
	At        time.Time
}

// Trouble is the time of a fault.
type Trouble struct{ From, To time.Time }

// Case is all the evidence.
type Case struct {
	Promise  Promise
	Sent     []Sent
	Seen     []Seen
	Dead     []Dead
	Commits  []Commit // in order of time
	Troubles []Trouble
	Open     bool // what was committed may still be under way: nothing is lost for sure
}

// Verdict counts what went wrong.
type Verdict struct {
	Lost        int // C1, and committed past
	Undelivered int // C1 and C8: neither out nor committed past when time was up
	Duplicated  int // C2; in exactly once also repeats
	Misordered  int // C3
	Altered     int // C4
	Foreign     int // C5
	Backwards   int // C6
	Unexcused   int // C10
	Repeated    int // at least once: the same record again, which is allowed around a fault
	Findings    []string
}

// findingsLimit keeps the report of a run that went badly wrong readable.
const findingsLimit = 200

// Failed says whether a promise was broken. What is only undelivered is reported apart.
func (v *Verdict) Failed() bool {
	return v.Lost+v.Duplicated+v.Misordered+v.Altered+v.Foreign+v.Backwards+v.Unexcused > 0
}

func (v *Verdict) find(count *int, format string, args ...any) {
	*count++
	if len(v.Findings) < findingsLimit {
		v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
	}
}

// place is a coordinate in the input.
type place struct {
	partition int32
	offset    int64
}

// court is the evidence, arranged.
type court struct {
	*Case
	v      Verdict
	log    []Sent // by partition and offset
	number map[int]*Sent
	seen   map[int][]*Seen
	dead   map[place]string
	floor  map[int32]int64 // committed at the end
}

// Judge weighs a case.
func Judge(c Case) Verdict {
	k := &court{Case: &c, number: map[int]*Sent{}, seen: map[int][]*Seen{}, dead: map[place]string{}, floor: map[int32]int64{}}
	k.arrange()
	k.outputs()
	k.both()
	k.commits()
	var due map[int]bool
	switch {
	case c.Promise.Global:
		k.anywhere()
	case c.Promise.Window > 0:
		due = k.copies()
	}
	k.all(due)
	k.order()
	return k.v
}

func (k *court) arrange() {
	k.log = slices.Clone(k.Sent)
	slices.SortFunc(k.log, func(a, b Sent) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	for i := range k.log {
		k.number[k.log[i].Number] = &k.log[i]
	}
	for _, d := range k.Dead {
		k.dead[place{d.Partition, d.Offset}] = d.Reason
	}
}

// outputs looks at each record that came out: was it sent, is it unchanged, may it come again (C4, C5, C10).
func (k *court) outputs() {
	for i := range k.Seen {
		o := &k.Seen[i]
		s := k.number[o.Number]
		if s == nil {
			k.v.find(&k.v.Foreign, "C5: output %d@%d was never sent to this pipeline: %.100s", o.Partition, o.Offset, o.Value)
			continue
		}
		if s.Value != o.Value || s.Key != o.Key {
			k.v.find(&k.v.Altered, "C4: output %d@%d is not record %d as it was sent: %.100s", o.Partition, o.Offset, s.Number, o.Value)
		}
		k.seen[o.Number] = append(k.seen[o.Number], o)
		again := k.seen[o.Number]
		if len(again) == 1 {
			continue
		}
		if k.Promise.Once {
			k.v.find(&k.v.Duplicated, "C2: record %d (%s) came out at %s and again at %s", s.Number, s.ID, clock(again[0].At), clock(o.At))
			continue
		}
		k.v.Repeated++
		if before := again[len(again)-2].At; !k.excused(before, o.At) {
			k.v.find(&k.v.Unexcused, "C10: record %d (%s) came out at %s and again at %s, and there was no fault", s.Number, s.ID, clock(before), clock(o.At))
		}
	}
}

func (k *court) excused(from, to time.Time) bool {
	return slices.ContainsFunc(k.Troubles, func(t Trouble) bool {
		return !t.From.After(to) && !t.To.Add(k.Promise.Settle).Before(from)
	})
}

// both makes sure that nothing that came out is a dead letter too, where no decision may be taken back (C2).
func (k *court) both() {
	if !k.Promise.Once && !k.Promise.Gapless && k.Promise.Order != AsSent {
		return
	}
	for i := range k.log {
		if s := &k.log[i]; len(k.seen[s.Number]) > 0 {
			if reason, dead := k.dead[place{s.Partition, s.Offset}]; dead {
				k.v.find(&k.v.Duplicated, "C2: record %d (%s) at %d@%d came out, and is a dead letter as well: %s", s.Number, s.ID, s.Partition, s.Offset, reason)
			}
		}
	}
}

// commits makes sure that no committed offset is below an earlier one (C6).
func (k *court) commits() {
	for _, c := range k.Commits {
		if had, ok := k.floor[c.Partition]; ok && c.Offset < had {
			k.v.find(&k.v.Backwards, "C6: partition %d went back from %d to %d at %s", c.Partition, had, c.Offset, clock(c.At))
		}
		k.floor[c.Partition] = c.Offset
	}
}

// copies makes sure that of an id only the first copy within the window comes out (C2), and notes which copies must. The
// window is log time: its clock is the running maximum of the timestamps. A copy between one and two windows after the
// first may pass or not.
func (k *court) copies() (due map[int]bool) {
	type id struct {
		partition int32
		id        string
	}
	due = map[int]bool{}
	kept := map[id]time.Time{} // when the copy that may come out was written
	now, partition := time.Time{}, int32(-1)
	for i := range k.log {
		s := &k.log[i]
		if s.Partition != partition {
			now, partition = time.Time{}, s.Partition
		}
		if now = later(now, s.At); s.Broken {
			continue
		}
		at, known := kept[id{s.Partition, s.ID}]
		age, out := now.Sub(at), len(k.seen[s.Number]) > 0
		switch {
		case !known, age >= 2*k.Promise.Window:
			due[s.Number] = true
			kept[id{s.Partition, s.ID}] = now
		case out && age >= k.Promise.Window:
			kept[id{s.Partition, s.ID}] = now
		case out:
			k.v.find(&k.v.Duplicated, "C2: record %d at %d@%d is a copy of %s and came out", s.Number, s.Partition, s.Offset, s.ID)
		}
	}
	return due
}

// anywhere makes sure that of an id only one copy comes out, whichever it is (C2).
func (k *court) anywhere() {
	out := map[string]*Sent{}
	for i := range k.log {
		s := &k.log[i]
		if len(k.seen[s.Number]) == 0 {
			continue
		}
		if o := out[s.ID]; o != nil {
			k.v.find(&k.v.Duplicated, "C2: record %d is a copy of record %d (%s), and both came out", s.Number, o.Number, s.ID)
		}
		out[s.ID] = s
	}
}

// all makes sure that what must come out does, or is a dead letter that may be one (C1, C8).
func (k *court) all(due map[int]bool) {
	done := map[string]bool{} // by sequence and without dedup any copy of an id will do
	anyCopy := due == nil && (k.Promise.Global || k.Promise.Order == BySequence)
	settled := func(s *Sent) bool {
		reason, dead := k.dead[place{s.Partition, s.Offset}]
		return len(k.seen[s.Number]) > 0 || dead && (s.Broken || k.mayDie(reason))
	}
	for i := range k.log {
		if s := &k.log[i]; settled(s) {
			done[s.ID] = true
		}
	}
	for i := range k.log {
		s := &k.log[i]
		switch {
		case settled(s), due != nil && !due[s.Number] && !s.Broken, anyCopy && !s.Broken && done[s.ID]:
		default:
			k.missing(s)
		}
	}
}

// mayDie says whether a record in good order may be a dead letter for this reason.
func (k *court) mayDie(reason string) bool {
	return (reason == "late" || reason == "gap") && k.Promise.Order != AsSent && !k.Promise.Gapless
}

// missing tells a record that was committed past, and so is lost, from one that is still to come.
func (k *court) missing(s *Sent) {
	floor := k.floor[s.Partition]
	if s.Offset < floor && !k.Open {
		k.v.find(&k.v.Lost, "C1: record %d (%s) at %d@%d is lost: the group has committed %d", s.Number, s.ID, s.Partition, s.Offset, floor)
		return
	}
	k.v.find(&k.v.Undelivered, "C8: record %d (%s) at %d@%d is undelivered: the group has committed %d", s.Number, s.ID, s.Partition, s.Offset, floor)
}

// order looks at each key's outputs, first occurrences only: what is repeated was in order before (C3).
func (k *court) order() {
	type key struct {
		partition int32 // of the output: order is promised within it
		key       string
	}
	last, done := map[key]*Sent{}, map[int]bool{}
	for i := range k.Seen {
		o := &k.Seen[i]
		s := k.number[o.Number]
		if s == nil || done[o.Number] {
			continue
		}
		done[o.Number] = true
		at := key{o.Partition, o.Key}
		switch l := last[at]; {
		case l == nil:
		case k.Promise.Order == BySequence && s.ID == l.ID:
			k.v.find(&k.v.Duplicated, "C2: record %d is a copy of record %d (%s), and both came out", s.Number, l.Number, s.ID)
		case k.before(s, l) && !k.takenBack(s, l, i):
			k.v.find(&k.v.Misordered, "C3: key %s: record %d (%s, sequence %d, event %d) came out behind record %d (%s, sequence %d, event %d)",
				s.Key, s.Number, s.ID, s.Sequence, s.Event, l.Number, l.ID, l.Sequence, l.Event)
		}
		last[at] = s
	}
}

// takenBack says that s came out behind l by a decision that does not hold: l, which was too early, comes out again after
// output i, or s, which was too late, is a dead letter. Where delivery is at least once, a decision by the clock (a gap is
// over, a partition is idle) shows before it is committed. After a crash it is made anew, and everything behind it comes
// out again in the order that holds; and a worker that was replaced meanwhile shows its own.
func (k *court) takenBack(s, l *Sent, i int) bool {
	if k.Promise.Once || k.Promise.Gapless || k.Promise.Order == AsSent {
		return false
	}
	_, late := k.dead[place{s.Partition, s.Offset}]
	return late || slices.ContainsFunc(k.Seen[i:], func(o Seen) bool { return o.Number == l.Number })
}

// before says that s should have come out before l, or not at all.
func (k *court) before(s, l *Sent) bool {
	switch k.Promise.Order {
	case BySequence:
		return s.Sequence <= l.Sequence
	case ByTime:
		return s.Event < l.Event
	case Unordered:
		return false
	}
	return s.Partition == l.Partition && s.Offset < l.Offset
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
