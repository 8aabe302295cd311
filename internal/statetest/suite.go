// Package statetest is the one suite that every store of steps' state passes.
package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

// Space is the state of one step, for dedup and for reorder.
type Space interface {
	Take(ctx context.Context, key stream.StateKey, token string, secret []byte) (stream.LogState, error)
	Read(ctx context.Context, key stream.StateKey, segment, from int64, n int) ([]byte, error)
	Append(ctx context.Context, entries []stream.LogAppend) error
	Cut(ctx context.Context, key stream.StateKey, token string, segment, length, head int64) error
	Recover(ctx context.Context, key stream.StateKey, token, nonce string) error
	Next(ctx context.Context, queries []stream.NextQuery) error
	Step(ctx context.Context, redos []stream.Redo) error
	Restore(ctx context.Context, key stream.StateKey, token, nonce string, next iter.Seq2[string, stream.Next]) error
}

// Backend is a store under test.
type Backend interface {
	Space(pipeline, step string) Space
	Wipe()                      // forgets everything, as FLUSHALL does
	Snapshot() (restore func()) // restore goes back to now
}

// Run runs the suite against a store that may hold other state.
func Run(t *testing.T, b Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"LogGrowsByContiguousEntries", logGrows},
		{"LogKeepsItsSecret", logSecret},
		{"RepeatedAppendIsOK", appendRepeated},
		{"RepeatedPipelineIsOK", appendRepeatedPipeline},
		{"AppendOfZombieIsStale", appendZombie},
		{"CutOfZombieIsStale", cutZombie},
		{"AppendAfterWipeIsLost", appendAfterWipe},
		{"AppendAfterRollbackIsLost", appendAfterRollback},
		{"ZombieCannotUseALogThatGrewBackToItsLength", appendABA},
		{"FirstAppendNeedsInit", appendInit},
		{"MissingSegmentHasNoLength", segmentMissing},
		{"OldSegmentsGo", segmentsGo},
		{"CutEndsTheLog", cutEnds},
		{"PartitionsAndStepsAreApart", apart},
		{"StepIsVoidUntilCommitted", stepVoid},
		{"RecoverAppliesTheCommitted", recoverApplies},
		{"NextAppliesTheCommitted", nextApplies},
		{"RepeatedStepIsOK", stepRepeated},
		{"StepOfZombieDoesNoHarm", stepZombie},
		{"WipeBetweenStepsIsLost", stepAfterWipe},
		{"WipeBeforeNextIsLost", nextAfterWipe},
		{"RollbackIsLostOrConsistent", stepAfterRollback},
		{"StepForgetsWhatWasSeenLongAgo", stepForgets},
		{"RestoreReplaces", restoreReplaces},
		{"RestoreOfZombieIsStale", restoreZombie},
		{"NextTakesTheMaximum", nextMaximum},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, &bench{T: t, Backend: b, Space: b.Space("pipeline", t.Name()), ctx: t.Context()})
		})
	}
}

// bench is one case at work.
type bench struct {
	*testing.T
	Backend
	Space
	ctx context.Context
}

func (b *bench) key() stream.StateKey {
	return stream.StateKey{Partition: stream.Partition{Topic: "in", ID: 3}, TopicID: [16]byte{1, 2, 3}}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) want(err, kind error) {
	b.Helper()
	if !errors.Is(err, kind) {
		b.Fatalf("error is %v, want %v", err, kind)
	}
}

func (b *bench) take(token string) stream.LogState {
	b.Helper()
	st, err := b.Take(b.ctx, b.key(), token, []byte("secret of "+token))
	b.must(err)
	return st
}

// entry is an append of offsets [from, to) to segment 1.
func (b *bench) entry(token string, from, to, length int64, data string) stream.LogAppend {
	return stream.LogAppend{Key: b.key(), Token: token, From: from, To: to, Segment: 1, Length: length, First: 1, Data: []byte(data), Init: from == 0}
}

func (b *bench) append(es ...stream.LogAppend) error {
	b.Helper()
	b.must(b.Append(b.ctx, es))
	var err error
	for _, e := range es {
		err = errors.Join(err, e.Err)
	}
	return err
}

func (b *bench) content(segment int64, n int) string {
	b.Helper()
	data, err := b.Read(b.ctx, b.key(), segment, 0, n)
	b.must(err)
	return string(data)
}

func logGrows(t *testing.T, b *bench) {
	if st := b.take("a"); st.Head != -1 || len(st.Lengths) != 0 {
		t.Fatalf("an absent log is %+v", st)
	}
	b.must(b.append(b.entry("a", 0, 10, 0, "one\x00"), b.entry("a", 10, 15, 4, "\xfftwo")))
	st := b.take("b")
	if st.Head != 15 || st.First != 1 || fmt.Sprint(st.Lengths) != "[8]" || st.Last() != 1 {
		t.Fatalf("the log is %+v", st)
	}
	if got := b.content(1, 100); got != "one\x00\xfftwo" {
		t.Fatalf("the segment holds %q", got)
	}
	part, err := b.Read(b.ctx, b.key(), 1, 2, 3)
	b.must(err)
	if string(part) != "e\x00\xff" {
		t.Fatalf("bytes 2 to 5 are %q", part)
	}
}

func logSecret(t *testing.T, b *bench) {
	first, again := b.take("a"), b.take("b")
	if !bytes.Equal(first.Secret, []byte("secret of a")) || !bytes.Equal(again.Secret, first.Secret) {
		t.Fatalf("secrets are %q and %q", first.Secret, again.Secret)
	}
}

func appendRepeated(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	b.must(b.append(b.entry("a", 10, 20, 3, "two")))
	b.want(b.append(b.entry("a", 10, 20, 3, "TWO")), stream.ErrStale)
}

func appendRepeatedPipeline(t *testing.T, b *bench) {
	b.take("a")
	for range 2 {
		b.must(b.append(b.entry("a", 0, 10, 0, "one"), b.entry("a", 10, 20, 3, "two")))
	}
	if got := b.content(1, 100); got != "onetwo" {
		t.Fatalf("the segment holds %q", got)
	}
}

func appendZombie(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	b.take("b")
	b.want(b.append(b.entry("a", 10, 20, 3, "two")), stream.ErrStale)
	b.must(b.append(b.entry("b", 10, 20, 3, "two")))
}

func cutZombie(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	b.take("b")
	b.want(b.Cut(b.ctx, b.key(), "a", 1, 0, 0), stream.ErrStale)
}

func appendAfterWipe(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	b.Wipe()
	b.want(b.append(b.entry("a", 10, 20, 3, "two")), stream.ErrLost)
	b.take("a")
	b.want(b.append(b.entry("a", 10, 20, 3, "two")), stream.ErrLost)
}

func appendAfterRollback(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	back := b.Snapshot()
	b.must(b.append(b.entry("a", 10, 20, 3, "two")))
	back()
	b.want(b.append(b.entry("a", 20, 30, 6, "three")), stream.ErrLost)
}

func appendABA(_ *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	back := b.Snapshot()
	b.must(b.append(b.entry("a", 10, 20, 3, "two")))
	back()
	b.must(b.append(b.entry("a", 10, 13, 3, "TWO"))) // as long, but other offsets
	b.want(b.append(b.entry("a", 20, 30, 6, "three")), stream.ErrLost)
}

func appendInit(_ *testing.T, b *bench) {
	b.take("a")
	e := b.entry("a", 5, 10, 0, "one")
	b.want(b.append(e), stream.ErrLost)
	e.Init = true
	b.must(b.append(e))
	e = b.entry("a", 7, 12, 3, "two")
	e.Init = true
	b.want(b.append(e), stream.ErrStale)
}

func segmentMissing(t *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	e := b.entry("a", 10, 20, 0, "two")
	e.Segment = 2
	b.must(b.append(e))
	e = b.entry("a", 20, 30, 7, "three")
	e.Segment = 2
	b.want(b.append(e), stream.ErrLost)
	if st := b.take("b"); fmt.Sprint(st.Lengths) != "[3 3]" || st.Last() != 2 {
		t.Fatalf("the log is %+v", st)
	}
}

func segmentsGo(t *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	e := b.entry("a", 10, 20, 0, "two")
	e.Segment, e.First = 2, 2
	b.must(b.append(e))
	if st := b.take("b"); st.First != 2 || fmt.Sprint(st.Lengths) != "[3]" || st.Head != 20 {
		t.Fatalf("the log is %+v", st)
	}
	if got := b.content(1, 10); got != "" {
		t.Fatalf("segment 1 still holds %q", got)
	}
}

func cutEnds(t *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one"), b.entry("a", 10, 20, 3, "two")))
	e := b.entry("a", 20, 30, 0, "three")
	e.Segment = 2
	b.must(b.append(e))
	b.must(b.Cut(b.ctx, b.key(), "a", 1, 3, 10))
	if st := b.take("a"); st.Head != 10 || fmt.Sprint(st.Lengths) != "[3]" || b.content(1, 10) != "one" {
		t.Fatalf("after the cut the log is %+v", st)
	}
	b.must(b.append(b.entry("a", 10, 20, 3, "TWO")))
	b.must(b.Cut(b.ctx, b.key(), "a", -1, 0, -1))
	if st := b.take("a"); st.Head != -1 || len(st.Lengths) != 0 || len(st.Secret) == 0 {
		t.Fatalf("after all is cut the log is %+v", st)
	}
	e = b.entry("a", 7, 9, 0, "new")
	e.Init = true
	b.must(b.append(e))
}

func apart(t *testing.T, b *bench) {
	b.take("a")
	b.must(b.append(b.entry("a", 0, 10, 0, "one")))
	other := b.key()
	other.ID++
	fresh := b.key()
	fresh.TopicID[0]++
	for _, k := range []stream.StateKey{other, fresh} {
		if st, err := b.Take(b.ctx, k, "a", []byte("s")); err != nil || st.Head != -1 {
			t.Errorf("the log of %v is %+v (%v)", k, st, err)
		}
	}
	space := b.Backend.Space("pipeline", t.Name()+"2")
	if st, err := space.Take(b.ctx, b.key(), "a", []byte("s")); err != nil || st.Head != -1 {
		t.Errorf("another step's log is %+v (%v)", st, err)
	}
}

func (b *bench) step(prev, nonce string, next map[string]int64) error {
	b.Helper()
	r := stream.Redo{Key: b.key(), Prev: prev, Nonce: nonce}
	for k, n := range next {
		r.Keys, r.Next = append(r.Keys, k), append(r.Next, stream.Next{Sequence: n})
	}
	rs := []stream.Redo{r}
	b.must(b.Step(b.ctx, rs))
	return rs[0].Err
}

// next looks keys up; "-" is an absent one.
func (b *bench) next(nonce string, keys ...string) (string, error) {
	b.Helper()
	q := []stream.NextQuery{{Key: b.key(), Nonce: nonce, Keys: keys, Next: make([]stream.Next, len(keys)), Found: make([]bool, len(keys))}}
	b.must(b.Next(b.ctx, q))
	s := ""
	for i := range keys {
		if q[0].Found[i] {
			s += fmt.Sprintf("%d ", q[0].Next[i].Sequence)
		} else {
			s += "- "
		}
	}
	return s, q[0].Err
}

func (b *bench) wantNext(want, nonce string, keys ...string) {
	b.Helper()
	got, err := b.next(nonce, keys...)
	b.must(err)
	if got != want {
		b.Fatalf("next of %q is %s, want %s", keys, got, want)
	}
}

func stepVoid(_ *testing.T, b *bench) {
	b.must(b.Recover(b.ctx, b.key(), "a", ""))
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	b.wantNext("- ", "", "k")
	b.must(b.Recover(b.ctx, b.key(), "b", ""))
	b.wantNext("- ", "", "k")
}

func recoverApplies(_ *testing.T, b *bench) {
	const big = int64(1)<<62 + 12345
	keys := map[string]int64{"k": 5, "\x00\xff{x}": -3, "": big, "a": 1}
	b.must(b.Recover(b.ctx, b.key(), "a", ""))
	b.must(b.step("", "n1", keys))
	for range 2 {
		b.must(b.Recover(b.ctx, b.key(), "b", "n1"))
		b.wantNext(fmt.Sprintf("5 -3 %d 1 - ", big), "n1", "k", "\x00\xff{x}", "", "a", "none")
	}
}

func nextApplies(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	b.wantNext("5 ", "n1", "k")
	b.must(b.step("n1", "n2", map[string]int64{"k": 7}))
	b.wantNext("7 - ", "n2", "k", "l")
}

func stepRepeated(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	for range 2 {
		b.must(b.step("n1", "n2", map[string]int64{"k": 6}))
	}
	b.wantNext("6 ", "n2", "k")
}

func stepZombie(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	b.must(b.step("n1", "n2", map[string]int64{"k": 6}))
	b.must(b.step("n1", "z", map[string]int64{"k": 99})) // prepared beside n2, never committed
	b.must(b.step("n2", "n3", map[string]int64{"k": 7}))
	b.want(b.step("n1", "z2", map[string]int64{"k": 98}), stream.ErrLost)
	b.must(b.Recover(b.ctx, b.key(), "b", "n3"))
	b.want(b.Recover(b.ctx, b.key(), "z", "n1"), stream.ErrLost)
	b.want(b.Recover(b.ctx, b.key(), "z", "z"), stream.ErrLost) // its blob is there, and follows another than the applied
	b.wantNext("7 ", "n3", "k")
}

func stepAfterWipe(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	b.must(b.step("n1", "n2", map[string]int64{"k": 6}))
	b.Wipe()
	b.want(b.step("n2", "n3", map[string]int64{"k": 7}), stream.ErrLost)
	b.want(b.Recover(b.ctx, b.key(), "b", "n2"), stream.ErrLost)
}

func nextAfterWipe(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	b.Wipe()
	_, err := b.next("n1", "k")
	b.want(err, stream.ErrLost)
}

func stepAfterRollback(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5}))
	back := b.Snapshot()
	b.must(b.step("n1", "n2", map[string]int64{"k": 6}))
	back()
	b.wantNext("5 ", "n1", "k")
	b.want(b.step("n2", "n3", nil), stream.ErrLost)
	b.must(b.step("n1", "n2", map[string]int64{"k": 6}))
	b.must(b.step("n2", "n3", map[string]int64{"k": 7}))
	b.wantNext("7 ", "n3", "k")
}

func places(next map[string]int64) iter.Seq2[string, stream.Next] {
	return func(yield func(string, stream.Next) bool) {
		for k, n := range next {
			if !yield(k, stream.Next{Sequence: n}) {
				return
			}
		}
	}
}

// stepForgets: what was seen later holds, also with a lower sequence, and what was seen long ago goes.
func stepForgets(t *testing.T, b *bench) {
	const before = 3000 // more than go with one step
	r := []stream.Redo{{Key: b.key(), Nonce: "n1", Oldest: math.MinInt64, Keys: []string{"k", "l"}, Next: []stream.Next{{Sequence: 500, Seen: 7}, {Sequence: 9, Seen: 9}}}}
	for i := range before {
		r[0].Keys, r[0].Next = append(r[0].Keys, fmt.Sprint("old", i)), append(r[0].Next, stream.Next{Sequence: 1, Seen: -2})
	}
	b.must(b.Step(b.ctx, r))
	r = []stream.Redo{{Key: b.key(), Prev: "n1", Nonce: "n2", Oldest: -2, Keys: []string{"k"}, Next: []stream.Next{{Sequence: 3, Seen: 9}}}}
	b.must(b.Step(b.ctx, r))
	b.wantNext("3 9 1 1 ", "n2", "k", "l", "old0", "old2999")
	prev := "n2"
	for i := range 30 {
		r = []stream.Redo{{Key: b.key(), Prev: prev, Nonce: fmt.Sprint("m", i), Oldest: 9}}
		b.must(b.Step(b.ctx, r))
		b.must(r[0].Err)
		prev = r[0].Nonce
	}
	left := 0
	for i := range before {
		if got, err := b.next(prev, fmt.Sprint("old", i)); err != nil || got != "- " {
			left++
		}
	}
	if left > 0 {
		t.Errorf("%d keys that were seen long ago are left", left)
	}
	b.wantNext("3 9 ", prev, "k", "l")
}

func restoreReplaces(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 5, "gone": 9}))
	b.must(b.step("n1", "n2", nil))
	b.must(ignoreLost(b.Recover(b.ctx, b.key(), "t", "n7")))
	many := map[string]int64{"k": 4}
	for i := range 5000 {
		many[fmt.Sprint("key", i)] = int64(i)
	}
	b.must(b.Restore(b.ctx, b.key(), "t", "n7", places(many)))
	b.wantNext("4 - 0 4999 ", "n7", "k", "gone", "key0", "key4999")
	b.must(b.step("n7", "n8", map[string]int64{"k": 5}))
	b.must(b.Restore(b.ctx, b.key(), "t", "", places(nil)))
	b.wantNext("- ", "", "k")
}

func ignoreLost(err error) error {
	if errors.Is(err, stream.ErrLost) {
		return nil
	}
	return fmt.Errorf("error is %w, want lost", err)
}

func restoreZombie(_ *testing.T, b *bench) {
	b.must(b.Recover(b.ctx, b.key(), "a", ""))
	b.must(b.Recover(b.ctx, b.key(), "b", ""))
	b.want(b.Restore(b.ctx, b.key(), "a", "n1", places(map[string]int64{"k": 1})), stream.ErrStale)
	b.must(b.Restore(b.ctx, b.key(), "b", "n1", places(map[string]int64{"k": 2})))
	b.wantNext("2 ", "n1", "k")
}

func nextMaximum(_ *testing.T, b *bench) {
	b.must(b.step("", "n1", map[string]int64{"k": 1 << 60, "m": -5}))
	b.must(b.step("n1", "n2", map[string]int64{"k": 1<<60 - 1, "m": -4}))
	b.wantNext(fmt.Sprintf("%d -4 ", int64(1)<<60), "n2", "k", "m")
}
