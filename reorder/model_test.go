package reorder_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
	"pgregory.net/rapid"
)

var errCrash = errors.New("crash")

var part = stream.Partition{Topic: "t"}

// faultyStore crashes the worker before or after its calls take effect.
type faultyStore struct {
	reorder.Store
	fault func() error
}

func (f *faultyStore) Recover(ctx context.Context, k stream.StateKey, token, nonce string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return errors.Join(f.Store.Recover(ctx, k, token, nonce), f.fault())
}

func (f *faultyStore) Next(ctx context.Context, q []stream.NextQuery) error {
	if err := f.fault(); err != nil {
		return err
	}
	return errors.Join(f.Store.Next(ctx, q), f.fault())
}

func (f *faultyStore) Step(ctx context.Context, r []stream.Redo) error {
	if err := f.fault(); err != nil {
		return err
	}
	return errors.Join(f.Store.Step(ctx, r), f.fault())
}

type history struct {
	log    []stream.Record
	commit *stream.Commit
	first  int64 // start of what is retained
}

func (h history) Replay(_ context.Context, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	start := max(from, h.first)
	for at := start; at < to; at += 7 {
		if err := visit(poll(h.log, at, min(at+7, to))); err != nil {
			return start, err
		}
	}
	return start, nil
}

func (h history) Committed(context.Context) (stream.Commit, error) { return *h.commit, nil }

func poll(log []stream.Record, from, to int64) *stream.Batch {
	b := &stream.Batch{}
	if from < to {
		b.Spans = []stream.Span{{Partition: part, From: from, To: to, Records: int(to - from)}}
	}
	for _, r := range log {
		if r.Origin.Offset >= from && r.Origin.Offset < to {
			b.Records = append(b.Records, r)
		}
	}
	return b
}

func end(log []stream.Record) int64 { return log[len(log)-1].Origin.Offset + 1 }

func record(offset int, key string, sequence, ts int64) stream.Record {
	return stream.Record{Key: []byte(key), Value: fmt.Append(nil, sequence), Timestamp: ts,
		Origin: stream.Coordinate{Partition: part, Offset: int64(offset)}}
}

func keyOf(r *stream.Record) ([]byte, error)     { return r.Key, nil }
func sequenceOf(r *stream.Record) (int64, error) { return strconv.ParseInt(string(r.Value), 10, 64) }

// model is a worker whose outputs count when the commit that covers them is made.
type model struct {
	*rapid.T
	log    []stream.Record
	mem    *memstate.Store
	undo   []func()
	commit stream.Commit
	now    time.Time
	out    []stream.Record // with their fates
	armed  bool
	nonces int
	ghosts []*zombie
	build  func(store reorder.Store, now func() time.Time) step
}

// zombie is a worker that others have replaced, and that does not know it. What it puts out is never committed.
type zombie struct {
	step step
	pos  int64
}

func (m *model) haunt() {
	ctx := context.Background()
	z := m.ghosts[rapid.IntRange(0, len(m.ghosts)-1).Draw(m.T, "zombie")]
	to := min(end(m.log), z.pos+int64(rapid.IntRange(0, 12).Draw(m.T, "zombie's cut")))
	if z.step.Process(ctx, poll(m.log, z.pos, to)) == nil {
		z.pos = to
	}
	if s, ok := z.step.(*reorder.Sequence); ok {
		m.nonces++
		_ = s.Prepare(ctx, fmt.Sprint("z", m.nonces), []stream.Partition{part})
	}
}

type step interface {
	Process(context.Context, *stream.Batch) error
	Tick(context.Context, *stream.Batch, time.Time, func(stream.Partition) bool) error
	Open(context.Context, stream.Assignment) error
	Held(stream.Partition) (int, int64)
	Watermark(stream.Partition) int64
	Note(stream.Partition) string
}

func (m *model) fault() error {
	if m.armed && rapid.IntRange(0, 14).Draw(m.T, "fault") == 0 {
		return errCrash
	}
	return nil
}

func (m *model) disturb() {
	if !m.armed {
		return
	}
	if len(m.ghosts) > 0 && rapid.IntRange(0, 3).Draw(m.T, "haunt") == 0 {
		m.haunt()
	}
	switch rapid.IntRange(0, 11).Draw(m.T, "disturb") {
	case 0:
		m.mem.Wipe()
	case 1:
		m.undo = append(m.undo, m.mem.Snapshot())
	case 2:
		if n := len(m.undo); n > 0 {
			m.undo[rapid.IntRange(0, n-1).Draw(m.T, "snapshot")]()
		}
	}
}

func (m *model) run() {
	m.mem, m.commit, m.now = memstate.New(), stream.Commit{Floor: -1, Watermark: math.MinInt64}, time.UnixMilli(10_000_000)
	for life := 0; m.commit.Floor < end(m.log); life++ {
		m.armed = life < 30
		if err := m.live(); err != nil && !m.armed {
			m.Fatal(err)
		}
		if life > 200 {
			m.Fatal("no progress")
		}
	}
}

func (m *model) live() error {
	ctx := context.Background()
	s := m.build(&faultyStore{m.mem.Space("p", "r"), m.fault}, func() time.Time { return m.now })
	pos, head, end := max(m.commit.Floor, 0), max(m.commit.Head, 0), end(m.log)
	a := stream.Assignment{Partition: part, Commit: m.commit, Position: pos, History: history{log: m.log, commit: &m.commit}}
	if err := s.Open(ctx, a); err != nil {
		return err
	}
	defer func() { m.ghosts = append(m.ghosts, &zombie{s, pos}) }()
	for m.commit.Floor < end {
		var pending []stream.Record
		for range rapid.IntRange(1, 3).Draw(m.T, "polls") {
			m.disturb()
			m.now = m.now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 50, 400}).Draw(m.T, "elapsed")) * time.Millisecond)
			to := min(end, pos+int64(rapid.IntRange(1, 12).Draw(m.T, "cut")))
			b := poll(m.log, pos, to)
			if err := s.Process(ctx, b); err != nil {
				return err
			}
			pending = append(pending, b.Records...)
			pos, head = to, max(head, to)
			b = &stream.Batch{}
			m.now = m.now.Add(time.Millisecond)
			if err := s.Tick(ctx, b, m.now, func(stream.Partition) bool { return pos == end }); err != nil {
				return err
			}
			pending = append(pending, b.Records...)
		}
		if err := m.checkpoint(ctx, s, pos, head, pending); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) checkpoint(ctx context.Context, s step, pos, head int64, pending []stream.Record) error {
	m.disturb()
	m.nonces++
	nonce := fmt.Sprint("n", m.nonces)
	seq, stateful := s.(*reorder.Sequence)
	if stateful {
		if err := seq.Prepare(ctx, nonce, []stream.Partition{part}); err != nil {
			return err
		}
	} else if err := m.fault(); err != nil {
		return err
	}
	c := stream.Commit{Floor: pos, Head: head, Nonce: nonce, Watermark: s.Watermark(part), Note: s.Note(part)}
	if n, floor := s.Held(part); n > 0 {
		c.Floor = min(c.Floor, floor)
	}
	if c.Floor < m.commit.Floor {
		m.Fatalf("the floor went back from %d to %d", m.commit.Floor, c.Floor)
	}
	m.commit = c
	m.out = append(m.out, pending...)
	if err := m.fault(); err != nil {
		return err
	}
	if stateful {
		seq.Committed(nonce, []stream.Partition{part})
	}
	return nil
}

// identity tells apart the records of a log: some are outputs of one input, and share its offset.
type identity struct {
	offset     int64
	key, value string
}

func identityOf(r *stream.Record) identity {
	return identity{r.Origin.Offset, string(r.Key), string(r.Value)}
}

// check makes sure that every record was settled once, and gives those that went out in order.
func (m *model) check() (out []stream.Record) {
	fates := map[identity]stream.Fate{}
	for i := range m.out {
		r := &m.out[i]
		if r.Fate == stream.Replayed {
			continue
		}
		id := identityOf(r)
		if f, twice := fates[id]; twice {
			m.Fatalf("%v is %v and then %v", id, f, r.Fate)
		}
		fates[id] = r.Fate
		if r.Fate == stream.Flowing {
			out = append(out, *r)
		}
	}
	for i := range m.log {
		if _, ok := fates[identityOf(&m.log[i])]; !ok {
			m.Fatalf("%v is lost", identityOf(&m.log[i]))
		}
	}
	return out
}

func bySequence(t *rapid.T, c reorder.Config) func(reorder.Store, func() time.Time) step {
	return func(store reorder.Store, now func() time.Time) step {
		c.Name, c.Key, c.Sequence, c.Store, c.Now = "r", keyOf, sequenceOf, store, now
		s, err := reorder.NewSequence(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// drawSequences makes a log of keys whose sequences come a little out of order; some never come, if there may be gaps.
func drawSequences(t *rapid.T, gaps bool) []stream.Record {
	keys := rapid.IntRange(1, 5).Draw(t, "keys")
	next := make([]int64, keys)
	var log []stream.Record
	for range rapid.IntRange(2, 60).Draw(t, "records") {
		k := rapid.IntRange(0, keys-1).Draw(t, "key")
		log = append(log, record(0, fmt.Sprint("k", k), next[k], 0))
		next[k]++
	}
	for range rapid.IntRange(0, 20).Draw(t, "swaps") {
		i := rapid.IntRange(0, len(log)-1).Draw(t, "from")
		j := min(len(log)-1, i+rapid.IntRange(0, 10).Draw(t, "by"))
		log[i], log[j] = log[j], log[i]
	}
	if gaps {
		drop := rapid.IntRange(0, len(log)-1).Draw(t, "dropped")
		log = append(log[:drop:drop], log[drop+1:]...)
	}
	ts, offset := int64(5_000_000), int64(-1)
	for i := range log {
		ts += int64(rapid.SampledFrom([]int{0, 1, 20, 60, 60, -70}).Draw(t, "time"))
		if i == 0 || rapid.IntRange(0, 3).Draw(t, "sibling") > 0 { // some are outputs of the input before
			offset++
		}
		log[i].Timestamp, log[i].Origin.Offset = ts, offset
	}
	return log
}

func wantAscending(t *rapid.T, out []stream.Record) {
	last := map[string]int64{}
	for _, r := range out {
		n, _ := sequenceOf(&r)
		if old, ok := last[string(r.Key)]; ok && n <= old {
			t.Fatalf("key %s: %d after %d", r.Key, n, old)
		}
		last[string(r.Key)] = n
	}
}

func TestEveryKeyComesOutSortedWhateverCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{T: t, log: drawSequences(t, false), build: bySequence(t, reorder.Config{MaxWait: time.Hour})}
		m.run()
		out := m.check()
		wantAscending(t, out)
		if len(out) != len(m.log) {
			t.Fatalf("%d of %d records came out", len(out), len(m.log))
		}
	})
}

func TestGapsEndOnceWhateverCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := reorder.Config{MaxWait: 100 * time.Millisecond, Any: rapid.Bool().Draw(t, "any"),
			OnGap:       rapid.SampledFrom([]reorder.OnGap{reorder.Skip, reorder.DeadLetters}).Draw(t, "on gap"),
			MaxBuffered: rapid.SampledFrom([]int{1, 3, 100}).Draw(t, "max buffered")}
		m := &model{T: t, log: drawSequences(t, true), build: bySequence(t, c)}
		m.run()
		wantAscending(t, m.check())
	})
}

func timeOf(r *stream.Record) (int64, error) { return strconv.ParseInt(string(r.Value), 10, 64) }

func TestEventTimeComesOutSortedWhateverCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []stream.Record
		base := int64(9_000_000)
		for i := range rapid.IntRange(1, 60).Draw(t, "records") {
			base += int64(rapid.IntRange(0, 50).Draw(t, "time"))
			log = append(log, record(i, "k", base-int64(rapid.IntRange(0, 150).Draw(t, "disorder")), base))
		}
		m := &model{T: t, log: log, build: func(_ reorder.Store, now func() time.Time) step {
			s, err := reorder.NewTime(reorder.Config{Name: "r", Time: timeOf, MaxWait: 100 * time.Millisecond, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}}
		m.run()
		last := int64(math.MinInt64)
		for _, r := range m.check() {
			at, _ := timeOf(&r)
			if at < last {
				t.Fatalf("%d came out after %d", at, last)
			}
			last = at
		}
	})
}

// drawLives makes a log in chapters, with a jump of log time between them. All keys come in each, in some disorder; behind a
// jump that is longer than two lives they begin anew, but for one that shows the others that time has passed.
func drawLives(t *rapid.T, life int64) []stream.Record {
	keys := rapid.IntRange(2, 5).Draw(t, "keys")
	next := make([]int64, keys)
	ts := int64(5_000_000) + rapid.Int64Range(0, life-1).Draw(t, "phase")
	var log []stream.Record
	add := func(key int, sequence int64) {
		ts += int64(rapid.SampledFrom([]int{0, 1, 20}).Draw(t, "time"))
		log = append(log, record(len(log), fmt.Sprint("k", key), sequence, ts))
	}
	for range rapid.IntRange(2, 4).Draw(t, "chapters") {
		add(0, next[0])
		next[0]++
		for key := 1; key < keys; key++ {
			last := next[key] + int64(rapid.IntRange(1, 6).Draw(t, "sequences"))
			var all []int64
			for ; next[key] < last; next[key]++ {
				all = append(all, next[key])
			}
			for _, n := range rapid.Permutation(all).Draw(t, "order") {
				add(key, n)
			}
		}
		if rapid.Bool().Draw(t, "long") {
			ts += 3 * life
			clear(next[1:])
		} else {
			ts += life / 2
		}
	}
	return log
}

func TestAKeyThatDoesNotComeIsForgottenWhateverCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const life = 60_000
		c := reorder.Config{MaxWait: life * time.Millisecond, ForgetAfter: life * time.Millisecond}
		m := &model{T: t, log: drawLives(t, life), build: bySequence(t, c)}
		m.run()
		out := m.check()
		if len(out) != len(m.log) {
			t.Fatalf("%d of %d records came out", len(out), len(m.log))
		}
		last := map[string]int64{}
		for _, r := range out {
			n, _ := sequenceOf(&r)
			if want := last[string(r.Key)]; n != want && n != 0 {
				t.Fatalf("key %s: %d came out where %d was due", r.Key, n, want)
			}
			last[string(r.Key)] = n + 1
		}
	})
}
