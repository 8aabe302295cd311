package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// shelf is a store in memory.
type shelf struct {
	values map[string]string
	wrong  map[string]error
	away   error
	trips  [][]string // the keys of each round trip
}

func (s *shelf) Get(_ context.Context, keys []string, most int, tell func(int, []byte, error)) error {
	s.trips = append(s.trips, slices.Clone(keys))
	if s.away != nil {
		return s.away
	}
	for i, k := range keys {
		if v, ok := s.values[k]; s.wrong[k] != nil || !ok {
			tell(i, nil, s.wrong[k])
		} else if len(v) > most {
			tell(i, nil, fmt.Errorf("the value of %d bytes is over the limit of %d", len(v), most))
		} else {
			tell(i, []byte(v), nil)
		}
	}
	return nil
}

func looker(t *testing.T, s *shelf, prefetch func(*stream.Record) ([]byte, bool)) *Guest {
	t.Helper()
	return startGuest(t, load(t, Source{Name: "lookup", Bytes: wasmOf(t, "lookup"), Lookups: s, Prefetch: prefetch}), Transform, Events{})
}

func TestAPluginReadsWhatItIsGiven(t *testing.T) {
	s := &shelf{values: map[string]string{"a": "one", "empty": "", "long": strings.Repeat("x", 300)}}
	g := looker(t, s, nil)
	b := batch("ga", "gb", "ga", "gb", "gempty", "slong", "wa")
	process(t, g, b)
	if got, want := fates(b), "one absent one absent  300-300 -2-2"; got != want {
		t.Errorf("it made %q, wanted %q", got, want)
	}
	if len(s.trips) != 4 {
		t.Errorf("the store was asked %v: a key is asked for once in a batch", s.trips)
	}
	s.values["a"] = "two"
	b = batch("ga")
	process(t, g, b)
	if got := fates(b); got != "two" {
		t.Errorf("the next batch gets %q", got)
	}
}

func TestWhatTheRecordsNameIsAskedForAtOnce(t *testing.T) {
	s := &shelf{values: map[string]string{"7": "seven", "8": "eight"}, wrong: map[string]error{"9": errors.New("odd")}}
	g := looker(t, s, func(r *stream.Record) ([]byte, bool) { return r.Value[1:], r.Value[0] == 'g' })
	var values []string
	for i := range 600 {
		values = append(values, fmt.Sprintf("g%d", i%300))
	}
	b := batch(values...)
	process(t, g, b)
	if len(s.trips) != 2 || len(s.trips[0]) != kvAtOnce || len(s.trips[1]) != 300-kvAtOnce {
		t.Errorf("there were %d round trips", len(s.trips))
	}
	if got := fates(b); !strings.HasPrefix(got, "absent absent absent absent absent absent absent seven eight !error absent") {
		t.Errorf("it made %.100q", got)
	}
}

// slow is a shelf whose round trips take their time.
type slow struct {
	shelf
	trip time.Duration
}

func (s *slow) Get(ctx context.Context, keys []string, most int, tell func(int, []byte, error)) error {
	select {
	case <-time.After(s.trip):
		return s.shelf.Get(ctx, keys, most, tell)
	case <-ctx.Done():
		return fmt.Errorf("asking: %w", ctx.Err())
	}
}

// TestAStoreThatIsSlowHoldsABatchForSoLong has five keys in trips of 0.9 s each or, at once, three trips of two.
func TestAStoreThatIsSlowHoldsABatchForSoLong(t *testing.T) {
	for name, c := range map[string]struct {
		prefetch func(*stream.Record) ([]byte, bool)
		keys     int
		trip     time.Duration
		turns    int
	}{
		"one by one": {nil, 5, 900 * time.Millisecond, 2},
		"at once":    {func(r *stream.Record) ([]byte, bool) { return r.Value[1:], true }, 3 * kvAtOnce, 2 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := &slow{shelf{values: map[string]string{"0": "old"}}, c.trip}
			plugin := load(t, Source{Name: "lookup", Bytes: wasmOf(t, "lookup"), Lookups: s, Prefetch: c.prefetch})
			synctest.Test(t, func(t *testing.T) { slowly(t, s, startGuest(t, plugin, Transform, Events{}), c.keys, c.turns) })
		})
	}
}

// slowly hands over a batch until it goes through, which takes so many turns, and each key a single answer.
func slowly(t *testing.T, s *slow, g *Guest, keys, turns int) {
	values := make([]string, keys)
	for i := range values {
		values[i] = fmt.Sprintf("g%d", i)
	}
	for turn := 1; ; turn++ {
		b := batch(values...)
		begin := time.Now()
		err := g.Process(t.Context(), b)
		if took := time.Since(begin); took > kvBatchTime {
			t.Errorf("turn %d takes %v", turn, took)
		}
		s.values["0"] = "new"
		if err == nil {
			if turn != turns || !strings.HasPrefix(fates(b), "old absent") {
				t.Errorf("turn %d makes %.40q; it was to be turn %d", turn, fates(b), turns)
			}
			break
		}
		if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "have taken 3s in all") || turn == turns || !strings.HasPrefix(fates(b), "g0 g1") {
			t.Fatalf("turn %d: %.40q, %v", turn, fates(b), err)
		}
	}
	asked := slices.Sorted(slices.Values(slices.Concat(s.trips...)))
	if len(asked) != keys || len(slices.Compact(asked)) != keys {
		t.Errorf("%d keys, and %d were asked for", keys, len(asked))
	}
}

func TestWhatABatchHasLearnedIsNotKeptForLong(t *testing.T) {
	s := &slow{shelf{values: map[string]string{"0": "old"}}, 2 * time.Second}
	plugin := load(t, Source{Name: "lookup", Bytes: wasmOf(t, "lookup"), Lookups: s})
	synctest.Test(t, func(t *testing.T) {
		g := startGuest(t, plugin, Transform, Events{})
		if err := g.Process(t.Context(), batch("g0", "g1")); !errors.Is(err, stream.ErrUnavailable) {
			t.Fatal(err)
		}
		s.values["0"], s.trip = "new", 0
		<-time.After(kvKeptTime)
		b := batch("g0", "g1")
		if process(t, g, b); fates(b) != "new absent" {
			t.Errorf("after a while it makes %q", fates(b))
		}
	})
}

func TestAStoreThatIsAwayCostsNoRecord(t *testing.T) {
	s := &shelf{away: fmt.Errorf("no route: %w", stream.ErrUnavailable)}
	for name, prefetch := range map[string]func(*stream.Record) ([]byte, bool){
		"one by one": nil, "at once": func(r *stream.Record) ([]byte, bool) { return r.Value[1:], true }} {
		g := looker(t, s, prefetch)
		b := batch("ga", "gb\x1b")
		err := g.Process(t.Context(), b)
		if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), `plugin lookup looks up "a"`) {
			t.Errorf("%s: %v", name, err)
		}
		if got := fates(b); got != "ga gb\x1b" {
			t.Errorf("%s: the records are %q", name, got)
		}
		s.away, s.values = nil, map[string]string{"a": "one"}
		process(t, g, b)
		if got := fates(b); got != "one absent" {
			t.Errorf("%s: when it is back, it makes %q", name, got)
		}
		s.away = fmt.Errorf("no route: %w", stream.ErrUnavailable)
	}
}

// One record at a time is at hand when a record that trapped is tried again: a store that goes away there is not its fault.
func TestAStoreThatGoesAwayWhileBlameIsSought(t *testing.T) {
	s := &shelf{values: map[string]string{"x": "trap"}}
	g := looker(t, s, nil)
	b := batch("gkeep", "tx", "glast")
	s.wrong = map[string]error{}
	err := g.Process(t.Context(), b)
	if err != nil || fates(b) != "absent !trap absent" {
		t.Fatalf("%v: %s", err, fates(b))
	}
	b = batch("tx", "gnew")
	g.kv.forget()
	s.away = stream.ErrUnavailable
	if err := g.Process(t.Context(), b); !errors.Is(err, stream.ErrUnavailable) || fates(b) != "tx gnew" {
		t.Errorf("%v: %s", err, fates(b))
	}
}

func TestALookupThatFailsCostsItsRecord(t *testing.T) {
	s := &shelf{values: map[string]string{"big": strings.Repeat("x", kvValueBytes+1)}, wrong: map[string]error{"li\x1bst": errors.New("it is a list")}}
	g := looker(t, s, nil)
	b := batch("ga", "gbig", "gli\x1bst", "g"+strings.Repeat("k", kvKeyBytes+1), fmt.Sprintf("m%d", kvGetsPerRecord), "gz")
	process(t, g, b)
	if got, want := fates(b), fmt.Sprintf("absent !error !error !limit m%d absent", kvGetsPerRecord); got != want {
		t.Errorf("it made %q, wanted %q", got, want)
	}
	for i, want := range map[int]string{1: "over the limit of 262144", 2: `plugin lookup looks up "li\x1bst": it is a list`, 3: "the key of 513 bytes is over the limit of 512"} {
		if got := b.Records[i].Cause.Message; !strings.Contains(got, want) {
			t.Errorf("record %d: %q lacks %q", i, got, want)
		}
	}
	b = batch(fmt.Sprintf("m%d", kvGetsPerRecord+1))
	process(t, g, b)
	if fates(b) != "!limit" || !strings.Contains(b.Records[0].Cause.Message, "more than 32 calls of kv_get") {
		t.Errorf("it made %q, %+v", fates(b), b.Records[0].Cause)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var l lookups
	for i := range kvHeldKeys + 10 {
		l.learn(fmt.Sprint(i), nil, nil)
	}
	if len(l.known) != 10 {
		t.Errorf("%d keys are held", len(l.known))
	}
	big := make([]byte, kvValueBytes)
	for i := range 2 * kvHeldBytes / kvValueBytes {
		if l.learn(fmt.Sprint("big", i), big, nil); l.bytes > kvHeldBytes {
			t.Fatalf("%d bytes are held", l.bytes)
		}
	}
}

func TestAPluginThatReadsIsRefusedWithoutAStore(t *testing.T) {
	_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "lookup", Bytes: wasmOf(t, "lookup")})
	if err == nil || !strings.Contains(err.Error(), "kv: { store: NAME, prefix: TEXT }") {
		t.Errorf("it says %v", err)
	}
}
