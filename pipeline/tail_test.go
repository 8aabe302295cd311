package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

// looker gives a step that looks back the offsets of partitions, as they come.
type looker struct {
	t    *testing.T
	look *LookBack
	next map[int32]int64
}

func look(t *testing.T, r Rememberer, offsets int64) *looker {
	return &looker{t, &LookBack{Rememberer: r, Offsets: offsets}, map[int32]int64{}}
}

// give is one batch of a partition. It returns what came of each record, "" where that failed.
func (l *looker) give(partition int32, values ...string) (got []string) {
	l.t.Helper()
	var b stream.Batch
	for _, v := range values {
		at := stream.Coordinate{Partition: stream.Partition{Topic: "in", ID: partition}, Offset: l.next[partition]}
		b.Records = append(b.Records, stream.Record{Value: []byte(v), Origin: at})
		l.next[partition]++
	}
	if err := l.look.Process(l.t.Context(), &b); err != nil {
		l.t.Fatal(err)
	}
	for i := range b.Records {
		if b.Records[i].Fate == stream.Flowing {
			got = append(got, string(b.Records[i].Value))
		} else {
			got = append(got, "")
		}
	}
	return got
}

func many(n int, value string) []string { return slices.Repeat([]string{value}, n) }

// TestARunOfPoisonIsGivenTheLogAgainOnce counts what a step is given, where it can keep its memory.
func TestARunOfPoisonIsGivenTheLogAgainOnce(t *testing.T) {
	const offsets, n = 1000, 300
	k := &keeping{chain: chain{lives: 1}}
	l := look(t, k, offsets)
	l.give(0, many(offsets, "good")...)
	k.given = 0
	l.give(0, many(n, "poison")...)
	if k.given > offsets {
		t.Errorf("%d records in a row that cost the memory have had %d given again, want no more than the %d that it looks back", n, k.given, offsets)
	}
	k.given = 0
	mixed := slices.Repeat([]string{"good", "poison"}, n)
	l.give(0, mixed...)
	if want := len(mixed) + offsets + n*keepRecords; k.given > want { // the batch as a whole, once all, and what is too little to be kept
		t.Errorf("every second record costs the memory: %d records were given for %d, want no more than %d", k.given, len(mixed), want)
	}
	if len(k.lacked) > 0 {
		t.Errorf("it lacked %v", k.lacked)
	}
}

// TestAFloodOfPoisonIsBounded is a step that cannot keep its memory: it is given what the bound allows, and told what it lacks.
func TestAFloodOfPoisonIsBounded(t *testing.T) {
	const offsets = 100
	c := &chain{lives: 1}
	l := look(t, c, offsets)
	l.give(0, many(offsets, "good")...)
	c.given = 0
	l.give(0, many(againPerRecord, "poison")...)
	if c.given != againPerRecord*offsets || len(c.lacked) > 0 {
		t.Errorf("%d records that cost the memory: %d given again, lacking %v, want %d and nothing", againPerRecord, c.given, c.lacked, againPerRecord*offsets)
	}
	const flood = 5000
	c.given = 0
	l.give(0, many(flood, "poison")...)
	if most := againPerRecord * (offsets + flood); c.given > most {
		t.Errorf("%d more have had %d given again, want no more than %d", flood, c.given, most)
	}
	if len(c.lacked) == 0 {
		t.Error("it was not told what it lacks")
	}
	l.give(0, many(offsets, "good")...) // they bring the credit for others
	c.lacked = nil
	l.give(0, "poison")
	if got := l.give(0, "x"); len(c.lacked) > 0 || got[0] != "good good good x" {
		t.Errorf("after the flood it lacks %v, and answers %q", c.lacked, got)
	}
}

// TestWhatIsKeptForAMemoryIsBoundedInBytes fills partitions with more than there is room for.
func TestWhatIsKeptForAMemoryIsBoundedInBytes(t *testing.T) {
	const offsets = 50
	c := &chain{lives: 1}
	l := look(t, c, offsets)
	l.look.Bytes = 100_000
	for i := range int64(30) {
		l.give(1, fmt.Sprint(i))
	}
	for range 3 * offsets {
		l.give(0, string(make([]byte, 5000)))
		var held int64
		for _, tail := range l.look.tails {
			for i := range tail.records {
				held += int64(len(tail.records[i].Value))
			}
		}
		if held > l.look.Bytes || l.look.bytes > l.look.Bytes {
			t.Fatalf("%d bytes are kept, counted as %d, the bound is %d", held, l.look.bytes, l.look.Bytes)
		}
	}
	if len(c.lacked) > 0 {
		t.Errorf("it lacked %v while it had lost nothing", c.lacked)
	}
	l.give(1, "poison")
	if got := l.give(1, "x"); got[0] != "27 28 29 x" || len(c.lacked) > 0 {
		t.Errorf("the small partition came to %q, lacking %v", got, c.lacked)
	}
	if l.give(0, "poison", "x"); len(c.lacked) == 0 || c.lacked[0] < offsets/2 || c.lacked[0] >= offsets {
		t.Errorf("of the large partition it lacked %v of %d offsets", c.lacked, offsets)
	}
	l.look.Close(stream.Partition{Topic: "in"})
	l.look.Close(stream.Partition{Topic: "in", ID: 1})
	if l.look.bytes != 0 {
		t.Errorf("%d bytes are counted, and nothing is kept", l.look.bytes)
	}
}

// TestAStepThatLooksBackTellsWhatItKeepsAndDoesAgain adds up what is told, through a successor too.
func TestAStepThatLooksBackTellsWhatItKeepsAndDoesAgain(t *testing.T) {
	var held, again, lacks int64
	events := Looking{Held: func(b int64) { held += b }, Again: func(n int) { again += int64(n) }, Lack: func() { lacks++ }}
	c := &chain{lives: 1}
	l := look(t, c, 20)
	l.look.Events = events
	l.give(0, many(10, "good")...)
	l.give(1, many(30, "good")...)
	if held != l.look.bytes || held < 30*recordBytes || again != 0 {
		t.Errorf("%d bytes were told, %d are kept; %d records were told as given again", held, l.look.bytes, again)
	}
	if l.give(0, "poison", "x"); again != 2*10 || lacks != 0 {
		t.Errorf("10 records were given again before each of two, %d were told, and %d times that some lack", again, lacks)
	}
	next := &LookBack{Rememberer: c, Offsets: 20, Bytes: 3000, Events: events}
	kept := held
	held = 0
	if next.Succeed(l.look); held != kept {
		t.Errorf("the successor keeps %d bytes, and tells of %d", kept, held)
	}
	l.look = next
	l.give(1, "x")
	if held != next.bytes || held > next.Bytes {
		t.Errorf("%d bytes are told, %d kept, the bound is now %d", held, next.bytes, next.Bytes)
	}
	if l.give(1, "poison", "x"); lacks == 0 {
		t.Error("that some lack was not told")
	}
	next.Close(stream.Partition{Topic: "in"})
	if next.Close(stream.Partition{Topic: "in", ID: 1}); held != 0 {
		t.Errorf("nothing is kept, and %d bytes are told", held)
	}
}

// TestARecordThatIsLargerThanTheBoundIsNotKept leaves an empty tail, which is lacking.
func TestARecordThatIsLargerThanTheBoundIsNotKept(t *testing.T) {
	c := &chain{lives: 1}
	l := look(t, c, 10)
	l.look.Bytes = 1000
	l.give(0, string(make([]byte, 5000)), "poison")
	if got := l.give(0, "x"); got[0] != "x" || len(c.lacked) == 0 {
		t.Errorf("it came to %q, lacking %v", got, c.lacked)
	}
}

// TestOnlyThePartitionsOfABatchAreGivenAgain has a step with many partitions lose its memory.
func TestOnlyThePartitionsOfABatchAreGivenAgain(t *testing.T) {
	c := &chain{lives: 1}
	l := look(t, c, 20)
	for p := range int32(30) {
		l.give(p, many(20, "good")...)
	}
	l.give(7, "poison")
	c.given = 0
	if got := l.give(7, "x"); got[0] != "good good good x" || c.given != 20+1 {
		t.Errorf("%d records were given for one, which came to %q", c.given, got)
	}
}
