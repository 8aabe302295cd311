package reorder_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

// TestOfOneSequenceTheFirstPayloadComesOut has a sequence come with two payloads, while it waits and after its turn.
func TestOfOneSequenceTheFirstPayloadComesOut(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	offer := func(sequence int64, payload string) (came []string) {
		r := record(len(tr.log), "a", sequence, tr.now.UnixMilli())
		r.Headers = []stream.Header{{Key: "payload", Value: []byte(payload)}}
		tr.log = append(tr.log, r)
		b := poll(tr.log, int64(len(tr.log)-1), int64(len(tr.log)))
		tr.must(tr.step.Process(t.Context(), b))
		for i := range b.Records {
			p, _ := b.Records[i].Header("payload")
			came = append(came, fmt.Sprintf("%s %v", p, b.Records[i].Fate))
		}
		return came
	}
	for i, c := range []struct {
		sequence int64
		payload  string
		want     string
	}{{1, "x", "[]"}, {1, "y", "[y duplicate]"}, {0, "z", "[z flowing x flowing]"}, {1, "w", "[w late]"}, {0, "v", "[v late]"}} {
		if got := fmt.Sprint(offer(c.sequence, c.payload)); got != c.want {
			t.Errorf("record %d: %s, want %s", i, got, c.want)
		}
	}
}

// TestWhatHasNoPlaceIsADeadLetter has records without a key, and with a sequence that none could follow.
func TestWhatHasNoPlaceIsADeadLetter(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.log = []stream.Record{record(0, "a", 0, tr.now.UnixMilli()), record(1, "", 0, tr.now.UnixMilli()), record(2, "a", math.MaxInt64, tr.now.UnixMilli()),
		record(3, "", 0, tr.now.UnixMilli()), record(4, "a", 1, tr.now.UnixMilli()), record(5, "a", math.MaxInt64-1, tr.now.UnixMilli())}
	tr.log[1].Key = nil
	tr.want(tr.process(0, 6), "a0 0(dead_lettered):decode a9223372036854775807(dead_lettered):decode 0 a1")
	tr.want(tr.pass(6*time.Second), "a9223372036854775806")
	tr.checkpoint("n1")
	tr.want(tr.again(), "")
	tr.want(tr.feed("a 2", "b 0"), "a2(late):late b0")
}

// TestOneKeyHoldsNoMoreThanItMay gives a million records of one key, each behind a gap of its own.
func TestOneKeyHoldsNoMoreThanItMay(t *testing.T) {
	const most, size, batches = 1000, 5000, 200
	tr := try(t, reorder.Config{MaxBuffered: most, MaxWait: time.Hour})
	last, n := int64(-1), 0
	for at := int64(0); at < batches*size; at += size {
		b := &stream.Batch{Spans: []stream.Span{{Partition: part, From: at, To: at + size, Records: size}}}
		for i := range int64(size) {
			b.Records = append(b.Records, record(int(at+i), "one", 2*(at+i)+1, tr.now.UnixMilli()))
		}
		tr.must(tr.step.Process(t.Context(), b))
		for i := range b.Records {
			sequence, err := sequenceOf(&b.Records[i])
			if err != nil || sequence <= last || b.Records[i].Fate != stream.Flowing {
				t.Fatalf("%d %v came after %d (%v)", sequence, b.Records[i].Fate, last, err)
			}
			last, n = sequence, n+1
		}
		if held, _ := tr.step.Held(part); held > most || held+n != int(at)+size {
			t.Fatalf("%d wait and %d came of %d, of which %d may wait", held, n, at+size, most)
		}
	}
}

// odd are timestamps that no clock of today has: none, the epoch, the last year that four digits name, and the ends of the range.
var odd = []int64{-1, 0, 253_402_300_799_999, math.MaxInt64, math.MinInt64}

func TestOddTimestampsEndNobodysPatience(t *testing.T) {
	for _, ts := range odd {
		tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
		tr.want(tr.feed("a 1", "c 0"), "c0")
		tr.log = append(tr.log, record(2, "b", 0, ts), record(3, "b", 2, ts))
		tr.want(tr.process(2, 4), "b0")
		tr.want(tr.feed("a 0", "b 1"), "a0 a1 b1 b2")
		tr.checkpoint("n1")
		tr.mem.Wipe()
		tr.want(tr.again(), "")
		tr.want(tr.feed("b 3", "a 2", "c 1"), "b3 a2 c1")
		first := try(t, reorder.Config{MaxWait: 5 * time.Second}) // the first of its partition has it
		first.log = append(first.log, record(0, "b", 1, ts))
		first.want(first.process(0, 1), "")
		first.want(first.pass(6*time.Second), "b1")
		first.want(first.feed("b 2"), "b2")
	}
}

func TestOddEventTimesMakeNobodyLate(t *testing.T) {
	for _, of := range odd {
		tr := try(t, byTime(5*time.Second))
		tr.wantTimes(tr.feed(at(0), at(-3), at(2)), -3)
		came, late := tr.feed(fmt.Sprint("t ", of)), ""
		if of <= 0 {
			late = fmt.Sprintf("t%d(late):late", of)
		}
		tr.want(came, late)
		tr.want(tr.feed(at(-2)), "") // what is far ahead has moved the watermark to the present at most
		came = tr.feed(at(6))
		if of > 0 { // it counts as of its timestamp, which is that of the first
			came = strings.Replace(came, fmt.Sprintf(" t%d", of), "", 1)
		}
		tr.wantTimes(came, -2, 0)
	}
}
