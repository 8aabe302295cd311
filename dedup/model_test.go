package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/stream"
	"pgregory.net/rapid"
)

var errCrash = errors.New("crash")

// faultyStore is a store whose calls crash the worker before or after they take effect, and whose answers get lost.
type faultyStore struct {
	dedup.Store
	before, after func() error
}

func (f *faultyStore) Take(ctx context.Context, k stream.StateKey, token string, secret []byte) (stream.LogState, error) {
	if err := f.before(); err != nil {
		return stream.LogState{}, err
	}
	st, err := f.Store.Take(ctx, k, token, secret)
	return st, errors.Join(err, f.after())
}

func (f *faultyStore) Append(ctx context.Context, es []stream.LogAppend) error {
	if err := f.before(); err != nil {
		return err
	}
	n := len(es) // a pipeline may be cut off after any of its commands
	if f.after() != nil {
		n /= 2
	}
	if err := f.Store.Append(ctx, es[:n]); err != nil {
		return err
	}
	if n < len(es) {
		return errCrash
	}
	return f.after()
}

func (f *faultyStore) Cut(ctx context.Context, k stream.StateKey, token string, segment, length, head int64) error {
	if err := f.before(); err != nil {
		return err
	}
	return errors.Join(f.Store.Cut(ctx, k, token, segment, length, head), f.after())
}

// history is the log itself.
type history struct {
	part   stream.Partition
	log    []stream.Record
	commit *stream.Commit
}

func (h history) Replay(_ context.Context, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	start := max(from, 0)
	for at := start; at < to; at += 7 {
		if err := visit(batchOf(h.part, h.log, at, min(at+7, to))); err != nil {
			return start, err
		}
	}
	return start, nil
}

func (h history) Committed(context.Context) (stream.Commit, error) { return *h.commit, nil }

// batchOf returns what a poll of offsets [from, to) brings; some offsets hold no record, some several.
func batchOf(p stream.Partition, log []stream.Record, from, to int64) *stream.Batch {
	b := &stream.Batch{Spans: []stream.Span{{Partition: p, From: from, To: to}}}
	for _, r := range log {
		if r.Origin.Offset >= from && r.Origin.Offset < to {
			b.Records = append(b.Records, r)
		}
	}
	b.Spans[0].Records = len(b.Records)
	return b
}

func key(r *stream.Record) ([]byte, error) { return r.Key, nil }

// drawLog makes a log: gaps, several records of one offset, ids that repeat, time that sometimes jumps.
func drawLog(t *rapid.T, p stream.Partition) ([]stream.Record, int64) {
	n := rapid.IntRange(1, 60).Draw(t, "records")
	log := make([]stream.Record, 0, n)
	offset, ts := int64(0), int64(1_000_000)
	for range n {
		offset += int64(rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(t, "step"))
		ts += int64(rapid.SampledFrom([]int{-300, 0, 100, 400, 5000}).Draw(t, "time"))
		id := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "id"))
		log = append(log, stream.Record{Key: []byte(id), Value: fmt.Appendf(nil, "%d", len(log)), Timestamp: ts,
			Origin: stream.Coordinate{Partition: p, Offset: offset}})
	}
	return log, offset + 1
}

// wanted is the specification: a record is first if its id was not first in this generation of log time or the one before.
func wanted(log []stream.Record, window int64) map[string]bool {
	firsts, seen, gen, last := map[string]bool{}, map[string]int64{}, int64(0), int64(-1)
	for _, r := range log {
		if r.Origin.Offset != last {
			gen, last = max(gen, r.Timestamp/window), r.Origin.Offset
		}
		if g, ok := seen[string(r.Key)]; !ok || g < gen-1 {
			seen[string(r.Key)] = gen
			firsts[string(r.Value)] = true
		}
	}
	return firsts
}

func TestFirstOfEveryIDPassesWhateverCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkModel(t, true) })
}

func TestCallsWithoutFaultsPassFirstsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkModel(t, false) })
}

type model struct {
	t      *rapid.T
	part   stream.Partition
	log    []stream.Record
	end    int64
	mem    *memstate.Store
	undo   []func()
	commit stream.Commit
	out    map[string]int
	faults bool
	armed  bool

	zombies []*zombie
}

// zombie is a worker that others have replaced, and that does not know it. What it puts out is never committed.
type zombie struct {
	step *dedup.Step
	pos  int64
}

func (m *model) haunt() {
	z := m.zombies[rapid.IntRange(0, len(m.zombies)-1).Draw(m.t, "zombie")]
	to := min(m.end, z.pos+int64(rapid.IntRange(1, 20).Draw(m.t, "zombie's cut")))
	if to > z.pos && z.step.Process(context.Background(), batchOf(m.part, m.log, z.pos, to)) == nil {
		z.pos = to
	}
}

func checkModel(t *rapid.T, faults bool) {
	m := &model{t: t, part: stream.Partition{Topic: "t"}, mem: memstate.New(), commit: stream.Commit{Floor: -1}, out: map[string]int{}, faults: faults}
	m.log, m.end = drawLog(t, m.part)
	for life := 0; m.commit.Floor < m.end; life++ {
		m.armed = faults && life < 30
		if err := m.live(); err != nil && !faults {
			t.Fatal(err)
		}
		if life > 200 {
			t.Fatal("no progress")
		}
	}
	want := wanted(m.log, 1000)
	for v, n := range m.out {
		if !want[v] {
			t.Fatalf("record %s is a duplicate and came out", v)
		}
		if !faults && n > 1 {
			t.Fatalf("record %s came out %d times", v, n)
		}
	}
	for v := range want {
		if m.out[v] == 0 {
			t.Fatalf("record %s is lost", v)
		}
	}
}

func (m *model) fault() error {
	if m.armed && rapid.IntRange(0, 9).Draw(m.t, "fault") == 0 {
		return errCrash
	}
	return nil
}

func (m *model) disturb() {
	if !m.armed {
		return
	}
	if len(m.zombies) > 0 && rapid.IntRange(0, 3).Draw(m.t, "haunt") == 0 {
		m.haunt()
	}
	switch rapid.IntRange(0, 11).Draw(m.t, "disturb") {
	case 0:
		m.mem.Wipe()
	case 1:
		m.undo = append(m.undo, m.mem.Snapshot())
	case 2:
		if n := len(m.undo); n > 0 {
			m.undo[rapid.IntRange(0, n-1).Draw(m.t, "snapshot")]()
		}
	}
}

// live is the life of one worker, up to an error or the end of the log.
func (m *model) live() error {
	ctx := context.Background()
	store := &faultyStore{Store: m.mem.Space("p", "d"), before: m.fault, after: m.fault}
	step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Second, Store: store})
	if err != nil {
		return err
	}
	pos := max(m.commit.Floor, 0)
	a := stream.Assignment{Partition: m.part, Commit: m.commit, Position: pos, History: history{m.part, m.log, &m.commit}}
	if err := step.Open(ctx, a); err != nil {
		return err
	}
	defer func() { m.zombies = append(m.zombies, &zombie{step, pos}) }()
	for pos < m.end {
		m.disturb()
		to := min(m.end, pos+int64(rapid.IntRange(1, 20).Draw(m.t, "cut")))
		b := batchOf(m.part, m.log, pos, to)
		if err := step.Process(ctx, b); err != nil {
			return err
		}
		for _, r := range b.Records {
			if r.Fate == stream.Flowing {
				m.out[string(r.Value)]++
			}
		}
		pos = to
		if err := m.fault(); err != nil {
			return err
		}
		floor := pos - int64(rapid.SampledFrom([]int{0, 0, 3, 15}).Draw(m.t, "held"))
		if !m.faults {
			floor = pos
		}
		m.commit = stream.Commit{Floor: max(floor, m.commit.Floor, 0), Head: pos}
		if pos == m.end {
			m.commit.Floor = pos
		}
	}
	return nil
}

func TestSegmentsThatAreCutAreDerivedAgain(t *testing.T) {
	ctx := context.Background()
	part := stream.Partition{Topic: "t"}
	var log []stream.Record
	for i := range 100 {
		log = append(log, stream.Record{Key: fmt.Append(nil, i%80), Timestamp: 5_000_000, Origin: stream.Coordinate{Partition: part, Offset: int64(i)}})
	}
	mem := memstate.New()
	space := mem.Space("p", "d")
	commit := stream.Commit{Floor: -1}
	open := func(pos int64) *dedup.Step {
		step, err := dedup.New(dedup.Config{Name: "d", Key: key, Window: time.Hour, Store: space})
		if err != nil {
			t.Fatal(err)
		}
		if err := step.Open(ctx, stream.Assignment{Partition: part, Commit: commit, Position: pos, History: history{part, log, &commit}}); err != nil {
			t.Fatal(err)
		}
		return step
	}
	step := open(0)
	for at := int64(0); at < 50; at += 10 {
		if err := step.Process(ctx, batchOf(part, log, at, at+10)); err != nil {
			t.Fatal(err)
		}
	}
	k := stream.StateKey{Partition: part}
	st, err := space.Take(ctx, k, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Half an entry is missing at the end, though the log says it ends at 50.
	if err := space.Cut(ctx, k, "x", st.Last(), st.Lengths[0]-20, 50); err != nil {
		t.Fatal(err)
	}
	commit = stream.Commit{Floor: 50, Head: 50}
	step = open(50)
	b := batchOf(part, log, 50, 100)
	if err := step.Process(ctx, b); err != nil {
		t.Fatal(err)
	}
	var firsts []int64
	for _, r := range b.Records {
		if r.Fate == stream.Flowing {
			firsts = append(firsts, r.Origin.Offset)
		}
	}
	if len(firsts) != 30 || firsts[29] != 79 || !slices.IsSorted(firsts) {
		t.Fatalf("firsts are %v, want 50 to 79", firsts)
	}
	if st, err = space.Take(ctx, k, "y", nil); err != nil || st.Head != 100 {
		t.Fatalf("the log ends at %d, want 100 (%v)", st.Head, err)
	}
}
