package reorder_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

func forgetful(any bool) reorder.Config {
	return reorder.Config{MaxWait: 5 * time.Second, ForgetAfter: time.Minute, Any: any}
}

func TestAKeyThatDoesNotComeForLongIsANewOne(t *testing.T) {
	tr := try(t, forgetful(false))
	tr.want(tr.feed("a 0", "a 1", "b 0"), "a0 a1 b0")
	tr.checkpoint("n1")
	tr.now = tr.now.Add(time.Minute)
	tr.want(tr.feed("b 1", "a 2"), "b1 a2") // within its life
	tr.checkpoint("n2")
	tr.now = tr.now.Add(2 * time.Minute)
	tr.want(tr.feed("b 2", "a 0", "a 1"), "b2 a0 a1")
	for n := range 3 { // the store has time to forget, and must not
		tr.now = tr.now.Add(15 * time.Second)
		tr.want(tr.feed(fmt.Sprint("b ", n+3)), fmt.Sprint("b", n+3))
		tr.checkpoint(fmt.Sprint("m", n))
	}
	tr.want(tr.again(), "")
	tr.want(tr.feed("a 1", "a 2"), "a1(late):late a2")
}

// A new key that has to settle waits, and waits again after a crash: what the store knew of its earlier life is void.
func TestAForgottenKeySettlesAgainThroughARestart(t *testing.T) {
	tr := try(t, forgetful(true))
	tr.want(tr.feed("a 7", "b 1"), "")
	tr.now = tr.now.Add(6 * time.Second)
	tr.want(tr.feed("b 2"), "a7 b1 b2")
	tr.checkpoint("n1")
	tr.now = tr.now.Add(3 * time.Minute)
	tr.want(tr.feed("b 3", "a 3"), "b3")
	tr.checkpoint("n2")
	tr.want(tr.again(), "")
	tr.now = tr.now.Add(6 * time.Second)
	tr.want(tr.feed("b 4"), "b4 a3")
	tr.want(tr.feed("a 4"), "a4")
	if len(tr.gaps) > 0 {
		t.Errorf("a new key settles, and that is no gap: %v", tr.gaps)
	}
}

// What is read again met its key before, also if its input moves log time far on: the log time that a commit knows is that
// behind the input.
func TestNothingIsForgottenWhenItIsReadAgain(t *testing.T) {
	tr := try(t, forgetful(false))
	tr.want(tr.feed("a 0"), "a0")
	tr.log = append(tr.log, record(1, "a", 1, tr.now.UnixMilli()), record(1, "b", 5, tr.now.Add(10*time.Minute).UnixMilli()))
	tr.want(tr.process(1, 2), "a1")
	tr.checkpoint("n1")
	tr.want(tr.again(), "a1(replayed)")
}

func TestARebuildForgetsWhatWasForgotten(t *testing.T) {
	for _, any := range []bool{false, true} {
		tr := try(t, forgetful(any))
		tr.feed("a 0", "b 0", "a 1", "a 2")
		tr.now = tr.now.Add(6 * time.Second)
		tr.want(tr.feed("b 1")[:1], map[bool]string{false: "b", true: "a"}[any])
		tr.now = tr.now.Add(3 * time.Minute)
		tr.feed("b 2", "a 0")
		tr.now = tr.now.Add(6 * time.Second)
		tr.feed("b 3")
		tr.checkpoint("n1")
		tr.mem.Wipe()
		tr.want(tr.again(), "")
		tr.want(tr.feed("a 1", "b 4"), "a1 b4")
	}
}

// A key is waited for through a jump of log time: its gap ends first, and it is no new key.
func TestWhatWaitsIsNotForgotten(t *testing.T) {
	tr := try(t, forgetful(false))
	tr.want(tr.feed("a 0", "b 0", "a 2"), "a0 b0")
	tr.now = tr.now.Add(time.Hour)
	tr.want(tr.feed("b 1"), "b1 a2")
	tr.want(fmt.Sprint(tr.gaps), "[skip]")
}

// A clock that stands wrong for one record does not make the others forgotten.
func TestOneRecordFarAheadForgetsNothing(t *testing.T) {
	tr := try(t, forgetful(false))
	tr.want(tr.feed("a 0"), "a0")
	wrong := tr.now
	tr.now = tr.now.Add(24 * time.Hour)
	tr.log = append(tr.log, stream.Record{Key: []byte("b"), Value: []byte("0"), Timestamp: tr.now.UnixMilli(), Origin: stream.Coordinate{Partition: part, Offset: 1}})
	tr.now = wrong
	tr.want(tr.process(1, 2), "b0")
	tr.want(tr.feed("b 1", "a 1"), "b1 a1")
}

func TestTheStoreIsRidOfForgottenKeys(t *testing.T) {
	tr := try(t, forgetful(false))
	for i := range 20 {
		tr.feed(fmt.Sprint("one", i, " 0"), fmt.Sprint("b ", i))
		tr.checkpoint(fmt.Sprint("n", i))
		tr.now = tr.now.Add(time.Minute)
	}
	q := []stream.NextQuery{{Key: stream.StateKey{Partition: part}, Nonce: "n19", Next: make([]stream.Next, 21), Found: make([]bool, 21), Keys: []string{"b"}}}
	for i := range 20 {
		q[0].Keys = append(q[0].Keys, fmt.Sprint("one", i))
	}
	if err := tr.config.Store.Next(context.Background(), q); err != nil || q[0].Err != nil {
		t.Fatal(err, q[0].Err)
	}
	kept := 0
	for _, found := range q[0].Found {
		if found {
			kept++
		}
	}
	if !q[0].Found[0] || kept > 5 {
		t.Errorf("the store holds %d keys, and the one that still comes: %v", kept, q[0].Found[0])
	}
}

func TestAKeyMayNotBeForgottenWhileItIsWaitedFor(t *testing.T) {
	_, err := reorder.NewSequence(reorder.Config{Name: "r", Key: keyOf, Sequence: sequenceOf, MaxWait: time.Hour, ForgetAfter: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "forget_after") {
		t.Errorf("got %v, want one about forget_after", err)
	}
}
