package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// stamp is a generation whose step writes its number into values; it counts what is alive of it.
func stamp(generation int, alive *atomic.Int64) Build {
	return func(context.Context, int) ([]Stage, func(), error) {
		alive.Add(1)
		step := stepFunc(func(b *stream.Batch) error {
			for i := range b.Records {
				b.Records[i].Value = fmt.Appendf(nil, "%s-%d", b.Records[i].Value, generation)
			}
			return nil
		})
		return []Stage{{Name: "stamp", Step: step}}, func() { alive.Add(-1) }, nil
	}
}

// while runs a pipeline in a bubble beside what the test does, and drains it then.
func while(t *testing.T, s *Spec, do func(ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, s) }()
		synctest.Wait()
		do(ctx)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestNewStagesAreTakenBetweenCheckpointsAndNothingIsLostOrDoneTwice(t *testing.T) {
	var alive atomic.Int64
	b := newBroker()
	s := spec(b, nil, nil)
	s.Build = stamp(0, &alive)
	const generations, each = 50, 7
	while(t, s, func(ctx context.Context) {
		for g := 1; g <= generations; g++ {
			for range each {
				b.add("v")
			}
			if err := s.Replace(ctx, stamp(g, &alive)); err != nil {
				t.Fatal(err)
			}
			if n := alive.Load(); n != 1 {
				t.Fatalf("%d sets of stages are alive after swap %d", n, g)
			}
		}
		<-time.After(time.Second)
	})
	if alive.Load() != 0 {
		t.Error("the last stages are not released")
	}
	if b.dials != 1 {
		t.Errorf("it was a member %d times", b.dials)
	}
	wantClosed(t, s, Counts{In: generations * each, Out: generations * each})
	if got := wrote(b, 1); len(got) != generations*each || !slices.IsSortedFunc(got, byGeneration) || got[0] == got[len(got)-1] {
		t.Errorf("%d came out: %v", len(got), got)
	}
}

func byGeneration(a, b string) int {
	var x, y int
	_, _ = fmt.Sscanf(a, "v-%d", &x)
	_, _ = fmt.Sscanf(b, "v-%d", &y)
	return x - y
}

func TestStagesThatCannotBeBuiltChangeNothing(t *testing.T) {
	var alive atomic.Int64
	b := newBroker("a")
	s := spec(b, nil, nil)
	s.Workers, s.Build = 3, stamp(0, &alive)
	dial := s.Dial
	s.Dial = func(worker int) (Client, error) {
		if worker > 0 {
			return nil, errors.New("one is enough")
		}
		return dial(worker)
	}
	while(t, s, func(ctx context.Context) {
		next := stamp(1, &alive)
		err := s.Replace(ctx, func(ctx context.Context, worker int) ([]Stage, func(), error) {
			if worker == 2 {
				return nil, nil, errors.New("no memory for a third")
			}
			return next(ctx, worker)
		})
		if err == nil || !strings.Contains(err.Error(), "no memory for a third") {
			t.Errorf("Replace returned %v", err)
		}
		if n := alive.Load(); n != 3 {
			t.Errorf("%d sets of stages are alive, want the 3 old ones", n)
		}
		b.add("b")
		<-time.After(time.Second)
	})
	if got := wrote(b, 1); !slices.Equal(got, []string{"a-0", "b-0"}) {
		t.Errorf("out came %v", got)
	}
}

// A worker that waits, for a dependency or before its next membership, takes new stages too: they may be the remedy.
func TestAWorkerThatWaitsTakesNewStages(t *testing.T) {
	for name, trouble := range map[string]error{"stalled": stream.ErrUnavailable, "rebuilding": errors.New("lost the group")} {
		t.Run(name, func(t *testing.T) {
			var alive atomic.Int64
			b := newBroker("a")
			s := spec(b, nil, nil)
			s.Build = func(context.Context, int) ([]Stage, func(), error) {
				alive.Add(1)
				return []Stage{{Name: "stamp", Step: stepFunc(func(*stream.Batch) error { return trouble })}}, func() { alive.Add(-1) }, nil
			}
			var repaired atomic.Bool
			s.Ready = func(context.Context) error {
				if !repaired.Load() {
					return trouble
				}
				return nil
			}
			while(t, s, func(ctx context.Context) {
				<-time.After(time.Minute)
				if err := s.Replace(ctx, stamp(1, &alive)); err != nil {
					t.Fatal(err)
				}
				repaired.Store(true)
				<-time.After(time.Minute)
			})
			if got := wrote(b, 1); !slices.Equal(got, []string{"a-1"}) {
				t.Errorf("out came %v", got)
			}
			if alive.Load() != 0 {
				t.Errorf("%d sets of stages are alive", alive.Load())
			}
			wantClosed(t, s, Counts{In: 1, Out: 1})
		})
	}
}

// A step with state stays the one it is: its partitions are open.
func TestStepsWithStateStay(t *testing.T) {
	b := newBroker("a")
	var first, second memory
	build := func(m *memory) Build {
		return func(context.Context, int) ([]Stage, func(), error) {
			return []Stage{{Name: "state", Step: m}}, func() {}, nil
		}
	}
	s := spec(b, nil, nil)
	s.Build = build(&first)
	while(t, s, func(ctx context.Context) {
		if err := s.Replace(ctx, build(&second)); err != nil {
			t.Fatal(err)
		}
		b.add("b")
		<-time.After(time.Second)
	})
	if first.seen != 2 || first.open != 1 || second.seen != 0 || second.open != 0 {
		t.Errorf("the first step saw %d and was opened %d times, the second %d and %d", first.seen, first.open, second.seen, second.open)
	}
}

// memory is a step with state.
type memory struct{ seen, open int }

func (m *memory) Process(_ context.Context, b *stream.Batch) error {
	m.seen += len(b.Records)
	return nil
}
func (m *memory) Open(context.Context, stream.Assignment) error { m.open++; return nil }
func (m *memory) Close(stream.Partition)                        {}

// What was polled before the swap is made by the old stages, also where its commit fails and it is done again.
func TestACheckpointThatFailsAtTheSwapIsDoneAgainByTheNewStages(t *testing.T) {
	var alive atomic.Int64
	b := newBroker("a")
	fails := true
	s := spec(b, nil, func(c *client) {
		c.onCommit = func() error {
			if fails {
				fails = false
				return errors.New("not this time")
			}
			return nil
		}
	})
	s.CommitInterval, s.Build = time.Hour, stamp(0, &alive)
	while(t, s, func(ctx context.Context) {
		if err := s.Replace(ctx, stamp(1, &alive)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
	})
	if got := wrote(b, 1); !slices.Equal(got, []string{"a-0", "a-1"}) || b.dials != 2 {
		t.Errorf("out came %v in %d memberships", got, b.dials)
	}
	wantClosed(t, s, Counts{In: 1, Out: 1})
}
