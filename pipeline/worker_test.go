package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/stream"
	"golang.org/x/time/rate"
)

// match is a predicate made of a function.
type match func(*stream.Record) (bool, error)

func (m match) Match(r *stream.Record) (bool, error) { return m(r) }

func contains(s string) match {
	return func(r *stream.Record) (bool, error) { return bytes.Contains(r.Value, []byte(s)), nil }
}

// stepFunc is a step made of a function.
type stepFunc func(*stream.Batch) error

func (f stepFunc) Process(_ context.Context, b *stream.Batch) error { return f(b) }

// spec is a pipeline with sinks out (1), dlq (2) and side (3), over one broker.
func spec(b *broker, stages []Stage, prepare func(*client)) *Spec {
	return &Spec{
		Name: "test", CommitInterval: 100 * time.Millisecond, Outputs: []Output{{Name: "out"}, {Name: "dlq"}, {Name: "side"}}, Sink: 1, DeadLetters: 2,
		Ledger: NewLedger(),
		Dial: func(int) (Client, error) {
			c := b.dial(3)
			if prepare != nil {
				prepare(c)
			}
			return c, nil
		},
		Build: func(context.Context, int) ([]Stage, func(), error) { return stages, func() {}, nil },
		Ready: func(context.Context) error { return nil },
	}
}

// drain runs a pipeline in a bubble for d of fake time, then drains it.
func drain(t *testing.T, s *Spec, d time.Duration) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		err = Run(ctx, s)
	})
	return err
}

func wrote(b *broker, sink stream.Sink) (values []string) {
	for _, r := range b.wrote {
		if r.Sink == sink {
			values = append(values, string(r.Value))
		}
	}
	return values
}

func wantClosed(t *testing.T, s *Spec, want Counts) {
	t.Helper()
	got := s.Ledger.Counts()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if got.Difference() != 0 {
		t.Errorf("the ledger does not close: %v", got)
	}
}

func TestRecordsAreReadAtThePaceThatIsSet(t *testing.T) {
	b := newBroker(strings.Split(strings.Repeat("x ", 1000), " ")...)
	s := spec(b, nil, nil)
	s.Pace = rate.NewLimiter(20, 3)
	if err := drain(t, s, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := len(wrote(b, 1)); n < 190 || n > 210 {
		t.Errorf("%d records in 10 s at 20 a second", n)
	}
	if b.commit.Floor != int64(len(wrote(b, 1))) {
		t.Errorf("committed %d of %d", b.commit.Floor, len(wrote(b, 1)))
	}
}

func TestPassThroughKeepsOrderAndCommitsTheEnd(t *testing.T) {
	b := newBroker("a", "b", "c", "d", "e", "f", "g")
	s := spec(b, nil, nil)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "f", "g"}, wrote(b, 1)); diff != "" {
		t.Error(diff)
	}
	if b.commit.Floor != 7 || b.commit.Head != 7 {
		t.Errorf("committed %+v, want floor and head 7", b.commit)
	}
	wantClosed(t, s, Counts{In: 7, Out: 7})
}

func TestFilteredAndFailedRecordsAreAccountedFor(t *testing.T) {
	b := newBroker("keep1", "drop", "bad", "keep2")
	keep := &Filter{Name: "f", Keep: match(func(r *stream.Record) (bool, error) {
		if string(r.Value) == "bad" {
			return false, errors.New("no such field")
		}
		return contains("keep")(r)
	})}
	s := spec(b, []Stage{{"f", keep}}, nil)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s, Counts{In: 4, Out: 2, Filtered: 1, DeadLettered: 1})
	var dead stream.Record
	for _, r := range b.wrote {
		if r.Sink == 2 {
			dead = r
		}
	}
	for k, want := range map[string]string{"sp-origin": "in/0@2", "sp-step": "f", "sp-reason": "error", "sp-error": "no such field", "sp-pipeline": "test"} {
		if got, _ := dead.Header(k); string(got) != want {
			t.Errorf("header %s is %q, want %q", k, got, want)
		}
	}
	if string(dead.Value) != "bad" {
		t.Errorf("the dead letter holds %q, want the original", dead.Value)
	}
}

func TestADeadLetterIsTheRecordAsItWasRead(t *testing.T) {
	change := stepFunc(func(b *stream.Batch) error {
		for i := range b.Records {
			b.Records[i].Preserve(new(stream.Original))
			b.Records[i].Key, b.Records[i].Value, b.Records[i].Headers, b.Records[i].Timestamp = []byte("k"), []byte("made"), nil, 9
		}
		return nil
	})
	for _, cause := range []stream.Cause{{Reason: stream.ReasonError, Message: "no"}, {Reason: stream.ReasonLimit, Message: "out of memory", Plugin: "ff"}} {
		b := newBroker("read")
		b.log[0].Headers, b.log[0].Timestamp = []stream.Header{{Key: "h", Value: []byte("1")}}, 5
		refuse := stepFunc(func(b *stream.Batch) error {
			cause.Step = "refuse"
			b.Fail(0, &cause)
			return nil
		})
		s := spec(b, []Stage{{"change", change}, {"again", change}, {"refuse", refuse}}, nil)
		if err := drain(t, s, time.Second); err != nil {
			t.Fatal(err)
		}
		dead := b.wrote[0]
		if h, _ := dead.Header("h"); string(dead.Key) != "0" || string(dead.Value) != "read" || string(h) != "1" || dead.Timestamp != 5 {
			t.Errorf("%s: the dead letter is %s: %s with header %q and timestamp %d, want the record as it was read", cause.Reason, dead.Key, dead.Value, h, dead.Timestamp)
		}
		if step, _ := dead.Header("sp-step"); string(step) != "refuse" {
			t.Errorf("the step is %q", step)
		}
	}
}

func TestACommitThatFailsRebuildsAndReadsAgain(t *testing.T) {
	b := newBroker("a", "b", "c", "d")
	fails := 2
	s := spec(b, nil, func(c *client) {
		c.onCommit = func() error {
			if fails--; fails >= 0 {
				return errors.New("rebalance")
			}
			return nil
		}
	})
	if err := drain(t, s, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if b.dials != 3 {
		t.Errorf("dialled %d times, want 3", b.dials)
	}
	wantClosed(t, s, Counts{In: 4, Out: 4}) // what was not committed is not in it
	if got := len(wrote(b, 1)); got != 12 {
		t.Errorf("wrote %d records, want each of 4 three times", got)
	}
}

func TestRevocationEndsTheCheckpointFirst(t *testing.T) {
	b := newBroker("a", "b", "c", "d", "e", "f")
	given := false
	s := spec(b, nil, func(c *client) {
		c.onPoll = func(poll int) error {
			if poll == 2 && !given {
				given = true
				c.revoking <- stream.Revocation{Partitions: []stream.Partition{input}, Ended: func() {
					if b.commit.Floor != 6 {
						t.Errorf("gave up at floor %d, want everything polled: 6", b.commit.Floor)
					}
				}}
			}
			return nil
		}
	})
	s.CommitInterval = time.Hour
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if !given {
		t.Error("nothing was revoked")
	}
}

func TestAStalledWorkerKeepsItsMembershipUntilTheStoreIsBack(t *testing.T) {
	b := newBroker("a", "b")
	away := true
	s := spec(b, []Stage{{"s", stepFunc(func(*stream.Batch) error {
		if away {
			return fmt.Errorf("asking the store: %w", stream.ErrUnavailable)
		}
		return nil
	})}}, nil)
	var states []State
	s.Events.State = func(_ int, st State, _ string) { states = append(states, st) }
	begin := time.Time{}
	s.Ready = func(context.Context) error {
		if begin.IsZero() {
			begin = time.Now()
		}
		if time.Since(begin) > 5*time.Second {
			away = false
			return nil
		}
		return errors.New("still away")
	}
	if err := drain(t, s, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if b.dials != 2 {
		t.Errorf("dialled %d times, want 2: one membership through the stall, one after", b.dials)
	}
	if b.dropped != 1 {
		t.Errorf("what was not committed was let go %d times: others wait for it", b.dropped)
	}
	want := []State{Starting, Running, Stalled, Rebuilding, Starting, Running, Stopped}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
	wantClosed(t, s, Counts{In: 2, Out: 2})
}

func TestHaltStopsBeforeTheRecord(t *testing.T) {
	b := newBroker("a", "poison", "c")
	refuse := match(func(r *stream.Record) (bool, error) {
		if string(r.Value) == "poison" {
			return false, errors.New("refused")
		}
		return true, nil
	})
	s := spec(b, []Stage{{"f", &Policy{Step: &Filter{"f", refuse}, Name: "f", OnError: Stop}}}, nil)
	err := drain(t, s, time.Second)
	if !errors.Is(err, stream.ErrHalt) || !strings.Contains(err.Error(), "in/0@1") {
		t.Errorf("got %v, want a halt that names the record", err)
	}
	if b.commit.Floor > 1 {
		t.Errorf("committed past the record: %+v", b.commit)
	}
}

func TestRetryTriesInPlaceAndKeepsOrder(t *testing.T) {
	b := newBroker("a", "flaky", "c", "hopeless", "e")
	tries := map[string]int{}
	keep := match(func(r *stream.Record) (bool, error) {
		v := string(r.Value)
		tries[v]++
		if v == "hopeless" || v == "flaky" && tries[v] < 3 {
			return false, errors.New("try later")
		}
		return true, nil
	})
	p := &Policy{Step: &Filter{"f", keep}, Name: "f", OnError: Retry, Retry: RetryPolicy{Attempts: 4, Min: time.Millisecond, Max: 10 * time.Millisecond}}
	s := spec(b, []Stage{{"f", p}}, nil)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "flaky", "c", "e"}, wrote(b, 1)); diff != "" {
		t.Error(diff)
	}
	if tries["hopeless"] != 4 {
		t.Errorf("tried %d times, want 4", tries["hopeless"])
	}
	wantClosed(t, s, Counts{In: 5, Out: 4, DeadLettered: 1})
}

func TestARecordOverALimitGoesToTheDeadLettersByReference(t *testing.T) {
	b := newBroker("small", strings.Repeat("x", 100))
	s := spec(b, nil, nil)
	s.Limits.ValueBytes = 50
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s, Counts{In: 2, Out: 1, DeadLettered: 1})
	for _, r := range b.wrote {
		if r.Sink == 2 && r.Value != nil {
			t.Errorf("the dead letter carries %d bytes", len(r.Value))
		}
	}
}

func TestARecordThatTheBrokersRefuseGoesToTheDeadLetters(t *testing.T) {
	b := newBroker("a", "big", "c")
	s := spec(b, nil, func(c *client) {
		c.refuse = func(r stream.Record) bool { return r.Sink == 1 && string(r.Value) == "big" }
	})
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s, Counts{In: 3, Out: 2, DeadLettered: 1})
	if diff := cmp.Diff(map[string]int64{"out": 2, "dlq": 1, "side": 0}, s.Ledger.Outputs()); diff != "" {
		t.Error(diff)
	}
}

func TestRouteKeepsInputOrderThroughBranches(t *testing.T) {
	b := newBroker("x1", "y1", "x2", "z1", "y2", "x3")
	twice := stepFunc(func(b *stream.Batch) error {
		out := b.Rewrite()
		for _, r := range b.Records {
			r.Family = &stream.Family{Left: 2}
			second := r
			second.Value = append([]byte("2nd-"), r.Value...)
			out = append(out, r, second)
		}
		b.Replace(out)
		return nil
	})
	route := &Route{Name: "r", Rules: []Rule{
		{When: contains("x"), Stages: []Stage{{"twice", twice}}, To: 1},
		{When: contains("y"), To: 1},
	}}
	s := spec(b, []Stage{{"r", route}}, nil)
	if err := drain(t, s, time.Second); err != nil {
		t.Fatal(err)
	}
	want := []string{"x1", "2nd-x1", "y1", "x2", "2nd-x2", "y2", "x3", "2nd-x3"}
	if diff := cmp.Diff(want, wrote(b, 1)); diff != "" {
		t.Error(diff)
	}
	wantClosed(t, s, Counts{In: 6, Out: 5, Filtered: 1}) // 1→2 counts inputs
}

// spans is a step with state that must see every offset of its partition pass by.
type spans struct{ next int64 }

func (s *spans) Open(context.Context, stream.Assignment) error { return nil }
func (s *spans) Close(stream.Partition)                        {}
func (s *spans) Process(_ context.Context, b *stream.Batch) error {
	for _, sp := range b.Spans {
		if sp.From != s.next {
			return fmt.Errorf("saw offset %d after %d", sp.From, s.next)
		}
		s.next = sp.To
	}
	return nil
}

func TestAStepWithStateSeesBatchesThatWereFilteredWhole(t *testing.T) {
	b := newBroker("drop", "drop", "drop", "drop", "keep", "drop", "keep")
	for _, policy := range []bool{false, true} {
		b.commit.Floor = -1
		sp := &spans{}
		var step Step = sp
		if policy {
			step = &Policy{Step: sp, Name: "s", OnError: Drop}
		}
		s := spec(b, []Stage{{"f", &Filter{"f", contains("keep")}}, {"s", step}}, nil)
		if err := drain(t, s, time.Second); err != nil {
			t.Fatal(err)
		}
		if sp.next != 7 {
			t.Errorf("the step saw offsets up to %d, want 7", sp.next)
		}
		wantClosed(t, s, Counts{In: 7, Out: 2, Filtered: 5})
	}
}

func TestAPolicyToFailEndsThePipelineInsteadOfWaiting(t *testing.T) {
	b := newBroker("a")
	s := spec(b, []Stage{{"s", stepFunc(func(*stream.Batch) error {
		return fmt.Errorf("%w: %w", stream.ErrFailed, stream.ErrUnavailable)
	})}}, nil)
	if err := drain(t, s, time.Minute); !errors.Is(err, stream.ErrFailed) {
		t.Errorf("got %v, want the failure", err)
	}
	if b.dials != 1 || b.commit.Floor != -1 {
		t.Errorf("dialled %d times, committed %+v", b.dials, b.commit)
	}
}
