package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
)

const back = 4 // offsets that a chain looks back

// chain writes into each value those of the offsets before it. It forgets them all at a record that says so, which fails.
type chain struct {
	lives  int
	seen   []stream.Record
	given  int     // records that it was given, but for poison
	lacked []int64 // what it was told of
}

func (c *chain) Lives() int { return c.lives }

func (c *chain) Forget(context.Context) error {
	c.lives++
	c.seen = nil
	return nil
}

func (c *chain) Lack(offsets int64) { c.lacked = append(c.lacked, offsets) }

// strict is a chain that lacks nothing.
type strict struct {
	chain
	t *testing.T
}

func (s *strict) Lack(offsets int64) {
	s.t.Errorf("a memory was made again without %d offsets", offsets)
}

// keeping is a chain that can keep what it has seen.
type keeping struct {
	chain
	kept []stream.Record
	life int
}

func (k *keeping) Keep() bool {
	k.kept, k.life = slices.Clone(k.seen), k.lives
	return true
}

func (k *keeping) Return(life int) bool {
	if life != k.life {
		return false
	}
	k.seen = slices.Clone(k.kept)
	k.lives++
	return true
}

func (c *chain) Process(ctx context.Context, b *stream.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		value := string(r.Value)
		if value == "poison" {
			b.Fail(i, &stream.Cause{Reason: stream.ReasonTrap, Message: "poison"})
			_ = c.Forget(ctx)
			continue
		}
		c.given++
		r.Value = nil
		for _, s := range c.seen {
			if s.Origin.Partition != r.Origin.Partition {
				continue
			}
			if s.Origin.Offset >= r.Origin.Offset {
				return fmt.Errorf("%v comes after %v", r.Origin, s.Origin)
			}
			if s.Origin.Offset >= r.Origin.Offset-back {
				r.Value = append(append(r.Value, s.Value...), ' ')
			}
		}
		r.Value = append(r.Value, value...)
		c.seen = append(c.seen, stream.Record{Value: []byte(value), Origin: r.Origin})
	}
	return nil
}

// chained is what a chain makes of a log, without anything going wrong; "" is a record that fails.
func chained(log []stream.Record) []string {
	want := make([]string, len(log))
	for i := range log {
		if string(log[i].Value) == "poison" {
			continue
		}
		var parts []string
		for _, r := range log[max(i-back, 0) : i+1] {
			if v := string(r.Value); v != "poison" {
				parts = append(parts, v)
			}
		}
		want[i] = strings.Join(parts, " ")
	}
	return want
}

// historian keeps state that it derives from history when it opens, as dedup does after a loss.
type historian struct {
	t    *testing.T
	want []string
}

func (*historian) Process(context.Context, *stream.Batch) error { return nil }
func (*historian) Close(stream.Partition)                       {}

func (h *historian) Open(ctx context.Context, a stream.Assignment) error {
	from := max(a.Position-3, 0)
	var want, got []string
	for _, v := range h.want[from:a.Position] {
		if v != "" {
			want = append(want, v)
		}
	}
	if _, err := a.History.Replay(ctx, from, a.Position, func(b *stream.Batch) error {
		for _, r := range b.Records {
			got = append(got, string(r.Value))
		}
		return nil
	}); err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("history from %d to %d is %q, want %q", from, a.Position, got, want)
	}
	return nil
}

// TestWhatLooksBackIsAFunctionOfTheLog has memories vanish by records that cost them, by checkpoints that fail, and by new
// stages.
func TestWhatLooksBackIsAFunctionOfTheLog(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var values []string
		for i := range 60 {
			values = append(values, fmt.Sprint(i))
			if rnd.IntN(8) == 0 {
				values[i] = "poison"
			}
		}
		b := newBroker(values...)
		want := chained(b.log)
		build := func(context.Context, int) ([]Stage, func(), error) {
			var remembers Rememberer = &strict{chain{lives: 1}, t}
			if seed%3 == 0 {
				remembers = &keeping{chain: chain{lives: 1}}
			}
			look := &LookBack{Rememberer: remembers, Offsets: back}
			stages := []Stage{{Name: "chain", Step: look}, {Name: "historian", Step: &historian{t, want}}}
			return stages[:1+seed%2], func() {}, nil
		}
		s := spec(b, nil, func(c *client) {
			c.max = 1 + rnd.IntN(9)
			c.onPoll = func(int) error {
				<-time.After(time.Millisecond)
				return nil
			}
			c.onCommit = func() error {
				if rnd.IntN(4) == 0 {
					return errors.New("the commit is lost")
				}
				return nil
			}
		})
		s.Build, s.CommitInterval = build, time.Millisecond
		while(t, s, func(ctx context.Context) {
			for range 3 {
				<-time.After(3 * time.Millisecond)
				if err := s.Replace(ctx, build); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(20 * time.Minute)
		})
		wantAnswers(t, seed, b, want)
	}
}

// wantAnswers wants something to have come out of each record, and always the same.
func wantAnswers(t *testing.T, seed uint64, b *broker, want []string) {
	t.Helper()
	came := make([]bool, len(want))
	for _, r := range b.wrote {
		at := r.Origin.Offset
		came[at] = true
		if value := string(r.Value); r.Sink == 1 && value != want[at] || r.Sink == 2 && want[at] != "" {
			t.Errorf("seed %d: of offset %d came %q to sink %d, want %q", seed, at, value, r.Sink, want[at])
		}
	}
	if i := slices.Index(came, false); i >= 0 {
		t.Errorf("seed %d: nothing came of offset %d", seed, i)
	}
}
