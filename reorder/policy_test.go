package reorder_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

const second = int64(1000)

// trial is a step with a clock, a store and a log of what it was given.
type trial struct {
	*testing.T
	mem    *memstate.Store
	now    time.Time
	config reorder.Config
	step   step
	log    []stream.Record
	commit stream.Commit
	gaps   []string

	retained int64 // first offset that the log still has
}

func try(t *testing.T, c reorder.Config) *trial {
	tr := &trial{T: t, mem: memstate.New(), now: time.UnixMilli(10_000 * second), commit: stream.Commit{Floor: -1, Watermark: math.MinInt64}}
	c.Name, c.Now = "r", func() time.Time { return tr.now }
	if c.Time == nil {
		c.Key, c.Sequence = keyOf, sequenceOf
	}
	c.Store = tr.mem.Space("p", "r")
	c.Events.Gap = func(_ stream.Partition, action string) { tr.gaps = append(tr.gaps, action) }
	tr.config = c
	tr.must(tr.open())
	return tr
}

func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a step and gives it the partition, as a worker does that begins a membership.
func (t *trial) open() error {
	var err error
	if t.config.Time != nil {
		t.step, err = reorder.NewTime(t.config)
	} else {
		t.step, err = reorder.NewSequence(t.config)
	}
	t.must(err)
	return t.step.Open(t.Context(), stream.Assignment{Partition: part, Commit: t.commit, Position: max(t.commit.Floor, 0), History: history{log: t.log, commit: &t.commit, first: t.retained}})
}

// feed processes "key sequence" records, a second apart in the log unless the clock says otherwise, and says what came of it.
func (t *trial) feed(records ...string) string {
	t.Helper()
	from := int64(len(t.log))
	for _, s := range records {
		key, value, _ := strings.Cut(s, " ")
		t.log = append(t.log, stream.Record{Key: []byte(key), Value: []byte(value), Timestamp: t.now.UnixMilli(),
			Origin: stream.Coordinate{Partition: part, Offset: int64(len(t.log))}})
	}
	return t.process(from, int64(len(t.log)))
}

func (t *trial) process(from, to int64) string {
	t.Helper()
	b := poll(t.log, from, to)
	t.must(t.step.Process(t.Context(), b))
	return said(b)
}

// pass lets time pass in a partition that is read to its end.
func (t *trial) pass(d time.Duration) string {
	t.Helper()
	s, err := t.tick(d)
	t.must(err)
	return s
}

func (t *trial) tick(d time.Duration) (string, error) {
	t.now = t.now.Add(d)
	b := &stream.Batch{}
	err := t.step.Tick(t.Context(), b, t.now, func(stream.Partition) bool { return true })
	return said(b), err
}

// checkpoint commits everything so far.
func (t *trial) checkpoint(nonce string) {
	t.Helper()
	c := stream.Commit{Floor: int64(len(t.log)), Head: int64(len(t.log)), Nonce: nonce, Watermark: t.step.Watermark(part), Note: t.step.Note(part)}
	if n, floor := t.step.Held(part); n > 0 {
		c.Floor = floor
	}
	s, stateful := t.step.(*reorder.Sequence)
	if stateful {
		t.must(s.Prepare(t.Context(), nonce, []stream.Partition{part}))
	}
	t.commit = c
	if stateful {
		s.Committed(nonce, []stream.Partition{part})
	}
}

// again reads everything from the floor in a new membership.
func (t *trial) again() string {
	t.Helper()
	t.must(t.open())
	return t.process(t.commit.Floor, int64(len(t.log)))
}

// said writes a batch as "a1 a2(late)": key and value of each record with what became of it.
func said(b *stream.Batch) string {
	var words []string
	for _, r := range b.Records {
		w := string(r.Key) + string(r.Value)
		switch {
		case r.Fate != stream.Flowing:
			w += "(" + r.Fate.String() + ")"
		}
		if r.Cause != nil {
			w += ":" + string(r.Cause.Reason)
		}
		if r.Sink != stream.NoSink {
			w += fmt.Sprintf("@%d", r.Sink)
		}
		if _, late := r.Header("sp-late"); late {
			w += "!"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func (t *trial) want(got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("what came out is %q, want %q", got, want)
	}
}

func TestALateRecordGoesWhereThePolicySays(t *testing.T) {
	for late, want := range map[reorder.Late]string{reorder.LateDeadLetters: "a0(late):late", reorder.LateDrop: "a0(late)",
		reorder.LatePass: "a0!", reorder.LateSide: "a0(late)@3!"} {
		t.Run(string(late), func(t *testing.T) {
			tr := try(t, reorder.Config{Late: late, Side: 3, MaxWait: 5 * time.Second})
			tr.feed("a 1")
			tr.want(tr.pass(6*time.Second), "a1")
			tr.want(tr.feed("a 0"), want)
			tr.want(tr.feed("a 2"), "a2")
		})
	}
}

func TestAGapEndsAsThePolicySays(t *testing.T) {
	for policy, want := range map[reorder.OnGap]string{reorder.Skip: "a2 a3", reorder.DeadLetters: "a2(dead_lettered):gap a3"} {
		t.Run(string(policy), func(t *testing.T) {
			tr := try(t, reorder.Config{OnGap: policy, MaxWait: 5 * time.Second})
			tr.want(tr.feed("a 0", "a 2", "a 3", "b 0"), "a0 b0")
			tr.want(tr.pass(4*time.Second), "")
			tr.want(tr.pass(time.Second), want)
			if len(tr.gaps) != 1 || tr.gaps[0] != string(policy) {
				t.Errorf("gaps told are %v", tr.gaps)
			}
			tr.want(tr.feed("a 4"), "a4")
		})
	}
	tr := try(t, reorder.Config{OnGap: reorder.HaltAtGap, MaxWait: 5 * time.Second})
	tr.feed("a 0", "a 2")
	if _, err := tr.tick(6 * time.Second); !errors.Is(err, stream.ErrHalt) || !strings.Contains(err.Error(), "t/0@1") {
		t.Errorf("halt: %v, want a halt that names the record", err)
	}
}

func TestWhatWaitsBehindAGapForLessThanMaxWaitIsNotDeadLettered(t *testing.T) {
	tr := try(t, reorder.Config{OnGap: reorder.DeadLetters, MaxWait: 5 * time.Second})
	tr.feed("a 1")
	tr.want(tr.pass(3*time.Second), "")
	tr.want(tr.feed("a 3"), "")
	tr.want(tr.pass(2*time.Second), "a1(dead_lettered):gap")
	tr.want(tr.feed("a 2"), "a2 a3")
}

func TestANewKeyStartsWithTheLowestThatCameWithinMaxWait(t *testing.T) {
	tr := try(t, reorder.Config{Any: true, MaxWait: 5 * time.Second})
	tr.want(tr.feed("a 7", "a 6", "b 3"), "")
	tr.want(tr.pass(3*time.Second), "")
	tr.want(tr.feed("a 5"), "")
	tr.want(tr.pass(2*time.Second), "a5 a6 a7 b3")
	tr.want(tr.feed("a 4", "a 8", "b 4"), "a4(late):late a8 b4")
	if len(tr.gaps) != 0 {
		t.Errorf("a key that starts is no gap: %v", tr.gaps)
	}
}

func TestAGivenStartIsWaitedFor(t *testing.T) {
	tr := try(t, reorder.Config{First: 5, MaxWait: 5 * time.Second})
	tr.want(tr.feed("a 6"), "")
	tr.want(tr.feed("a 5"), "a5 a6")
	tr.want(tr.feed("b 4"), "b4(late):late")
}

func TestSeveralRecordsOfOneInputAreOrderedEach(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	b := &stream.Batch{Spans: []stream.Span{{Partition: part, From: 0, To: 2, Records: 2}}}
	for i, v := range []string{"1", "0", "3", "2"} {
		b.Records = append(b.Records, stream.Record{Key: []byte("a"), Value: []byte(v), Timestamp: tr.now.UnixMilli(),
			Origin: stream.Coordinate{Partition: part, Offset: int64(i / 2)}})
	}
	b.Records = b.Records[:3]
	tr.must(tr.step.Process(t.Context(), b))
	tr.want(said(b), "a0 a1")
	if n, floor := tr.step.Held(part); n != 1 || floor != 1 {
		t.Errorf("held %d, floor %d; want the one input at 1", n, floor)
	}
}

func TestACopyOfWhatWaitsIsADuplicate(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.want(tr.feed("a 1", "a 1"), "a1(duplicate)")
	tr.want(tr.feed("a 0"), "a0 a1")
}

func TestAFullBufferEndsTheOldestGapEarly(t *testing.T) {
	tr := try(t, reorder.Config{MaxBuffered: 2, MaxWait: time.Hour})
	tr.want(tr.feed("a 2", "b 2"), "")
	tr.want(tr.feed("c 2"), "a2")
	if len(tr.gaps) != 1 || tr.gaps[0] != "forced" {
		t.Errorf("gaps told are %v", tr.gaps)
	}
	if n, floor := tr.step.Held(part); n != 2 || floor != 1 {
		t.Errorf("held %d, floor %d; want 2 and 1", n, floor)
	}
}

func TestBytesBoundTheBufferToo(t *testing.T) {
	tr := try(t, reorder.Config{MaxBytes: 100, MaxWait: time.Hour})
	long := strings.Repeat("k", 60)
	tr.want(tr.feed(long+" 2"), "")
	tr.want(tr.feed("a 2"), "")
	tr.want(tr.feed(long+"b 2"), long+"2")
}

func TestABacklogFiresNoTimer(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.feed("a 1")
	tr.now = tr.now.Add(time.Hour)
	b := &stream.Batch{}
	tr.must(tr.step.Tick(t.Context(), b, tr.now, func(stream.Partition) bool { return false }))
	tr.want(said(b), "")
}

func TestAClockThatIsWrongMovesNoTimer(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.feed("a 1")
	now := tr.now
	tr.now = now.Add(24 * time.Hour) // as the producer of the next record believes
	r := record(1, "b", 0, tr.now.UnixMilli())
	tr.now = now
	tr.log = append(tr.log, r)
	tr.want(tr.process(1, 2), "b0")
	tr.want(tr.feed("a 0"), "a0 a1")
}

func TestPatienceGoesOnThroughARestart(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.feed("a 1")
	tr.want(tr.pass(3*time.Second), "")
	tr.checkpoint("n1")
	tr.want(tr.again(), "")
	tr.want(tr.pass(time.Second), "")
	tr.want(tr.pass(time.Second), "a1")
}

func TestARecordIsSettledOnceThroughARestart(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.want(tr.feed("a 1", "b 0", "a 2", "b 2"), "b0")
	tr.checkpoint("n1")
	if tr.commit.Floor != 0 || tr.commit.Head != 4 {
		t.Fatalf("committed %+v", tr.commit)
	}
	tr.want(tr.again(), "b0(replayed)")
	tr.want(tr.feed("a 0"), "a0 a1 a2")
}

func TestARecordThatWaitedSaysForHowLong(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: 5 * time.Second})
	tr.feed("a 1")
	tr.now = tr.now.Add(1500 * time.Millisecond)
	tr.log = append(tr.log, record(1, "a", 0, tr.now.UnixMilli()))
	b := poll(tr.log, 1, 2)
	tr.must(tr.step.Process(t.Context(), b))
	if v, _ := b.Records[1].Header("sp-waited"); string(v) != "1.5s" {
		t.Errorf("sp-waited is %q", v)
	}
	if _, waited := b.Records[0].Header("sp-waited"); waited {
		t.Error("a record in turn says that it waited")
	}
}

func TestStateThatIsLostIsTreatedAsThePolicySays(t *testing.T) {
	// With accept every key starts again: what comes after 1 waits for 0.
	for policy, want := range map[reorder.StateLoss]string{reorder.Rebuild: "a2", reorder.Accept: ""} {
		t.Run(string(policy), func(t *testing.T) {
			tr := try(t, reorder.Config{MaxWait: time.Hour, OnStateLoss: policy})
			tr.feed("a 0", "a 1", "b 1")
			tr.checkpoint("n1")
			tr.mem.Wipe()
			tr.want(tr.again(), "")
			tr.want(tr.feed("a 2"), want)
		})
	}
	tr := try(t, reorder.Config{OnStateLoss: reorder.Halt})
	tr.feed("a 0")
	tr.checkpoint("n1")
	tr.mem.Wipe()
	if err := tr.open(); !errors.Is(err, stream.ErrHalt) {
		t.Errorf("halt: %v", err)
	}
}

func TestARebuildThatCannotKnowHalts(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: time.Hour})
	tr.feed("b 0", "a 1", "b 1")
	tr.checkpoint("n1")
	tr.mem.Wipe()
	tr.log[0].Key = []byte("c") // as if another step before had changed it, or retention removed it
	if err := tr.open(); !errors.Is(err, stream.ErrHalt) || !strings.Contains(err.Error(), "on_state_loss: accept") {
		t.Errorf("opened with %v, want a halt with its remedy", err)
	}
}

func TestARebuildWithoutTheRecordsAboveTheFloorHalts(t *testing.T) {
	tr := try(t, reorder.Config{MaxWait: time.Hour})
	tr.feed("a 0", "b 1", "a 1")
	tr.checkpoint("n1")
	tr.commit.Note = "" // another tool has set the offset: nothing tells what was held
	tr.mem.Wipe()
	tr.retained = 2
	if err := tr.open(); !errors.Is(err, stream.ErrHalt) || !strings.Contains(err.Error(), "retained from offset 2") {
		t.Errorf("opened with %v, want a halt that says from where the log is retained", err)
	}
}

func TestAWorkerThatIsLateDoesNotTakeItForALoss(t *testing.T) {
	tr := try(t, reorder.Config{OnStateLoss: reorder.Halt})
	tr.feed("a 0")
	tr.checkpoint("n1")
	late := tr.commit
	tr.feed("a 1")
	tr.checkpoint("n2")
	tr.feed("a 2")
	tr.checkpoint("n3")
	s, err := reorder.NewSequence(tr.config)
	tr.must(err)
	err = s.Open(t.Context(), stream.Assignment{Partition: part, Commit: late, Position: 1, History: history{log: tr.log, commit: &tr.commit}})
	if !errors.Is(err, stream.ErrStale) {
		t.Errorf("opened with %v, want stale", err)
	}
}

func TestAWorkerThatIsLateDoesNotWipeWhatTheFirstCommitsLeft(t *testing.T) {
	tr := try(t, reorder.Config{First: 0, OnStateLoss: reorder.Halt})
	late := tr.commit
	tr.feed("a 0")
	tr.checkpoint("n1")
	tr.feed("a 1")
	tr.checkpoint("n2")
	s, err := reorder.NewSequence(tr.config)
	tr.must(err)
	err = s.Open(t.Context(), stream.Assignment{Partition: part, Commit: late, History: history{log: tr.log, commit: &tr.commit}})
	if !errors.Is(err, stream.ErrStale) {
		t.Errorf("opened with %v, want stale", err)
	}
	tr.must(tr.open())
	tr.want(tr.feed("a 2"), "a2")
}

func byTime(wait time.Duration) reorder.Config {
	return reorder.Config{Time: timeOf, MaxWait: wait, MaxFuture: time.Minute, IdleTimeout: 30 * time.Second}
}

// at writes an event time, in seconds before or after the start of a trial.
func at(s int64) string { return fmt.Sprint("t ", (10_000+s)*second) }

func (t *trial) wantTimes(got string, want ...int64) {
	t.Helper()
	var words []string
	for _, s := range want {
		words = append(words, strings.ReplaceAll(at(s), " ", ""))
	}
	t.want(got, strings.Join(words, " "))
}

func TestEventTimeGoesOutBehindTheWatermark(t *testing.T) {
	tr := try(t, byTime(5*time.Second))
	tr.wantTimes(tr.feed(at(0), at(-3), at(2)), -3)
	tr.wantTimes(tr.feed(at(7)), 0, 2)
	tr.want(tr.feed(at(1)), strings.ReplaceAll(at(1), " ", "")+"(late):late")
}

func TestEventTimeFarAheadCountsAsOfTheRecordsTimestamp(t *testing.T) {
	tr := try(t, byTime(5*time.Second))
	tr.want(tr.feed(at(3600)), "")
	tr.want(tr.feed(at(-4)), "") // not late: the wrong clock moved the watermark to the present only
	tr.wantTimes(tr.feed(at(6)), -4, 3600)
}

func TestAnIdlePartitionIsLetGo(t *testing.T) {
	tr := try(t, byTime(5*time.Second))
	tr.want(tr.feed(at(0)), "")
	tr.want(tr.pass(29*time.Second), "")
	tr.wantTimes(tr.pass(time.Second), 0)
}

func TestTheWatermarkOutlivesARestart(t *testing.T) {
	tr := try(t, byTime(5*time.Second))
	tr.wantTimes(tr.feed(at(0), at(-2), at(4)), -2)
	tr.checkpoint("")
	if tr.commit.Floor != 0 || tr.commit.Watermark != 9_999*second {
		t.Fatalf("committed %+v", tr.commit)
	}
	tr.want(tr.again(), strings.ReplaceAll(at(-2), " ", "")+"(replayed)")
	tr.want(tr.feed(at(-1)), strings.ReplaceAll(at(-1), " ", "")+"(late):late")
	tr.wantTimes(tr.pass(30*time.Second), 0, 4)
}

func TestAFullBufferMovesTheWatermark(t *testing.T) {
	c := byTime(time.Hour)
	c.MaxBuffered = 2
	tr := try(t, c)
	tr.wantTimes(tr.feed(at(3), at(1), at(2)), 1)
	tr.want(tr.feed(at(0)), strings.ReplaceAll(at(0), " ", "")+"(late):late")
}
