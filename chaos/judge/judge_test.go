package judge

import (
	"bytes"
	"testing"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
)

var (
	small = load.Load{Seed: 5, IDs: 600, Keys: 20, Duplicates: 0.1, Disorder: 0.1, Dropped: 40, Poisoned: 60}
	epoch = time.Unix(1_800_000_000, 0)
)

// arrival is one record of the output; dead ones are of the dead-letter topic.
type arrival struct {
	partition  int32
	at         time.Duration
	key, value []byte
	dead       bool
	id         int64
}

// output is what a processor without fault writes: a record each ten milliseconds.
func output() (out []arrival) {
	for id := range small.IDs {
		if f := small.Fate(id); f != load.Dropped {
			out = append(out, arrival{int32(small.Key(id) % 4), time.Duration(id) * 10 * time.Millisecond,
				small.AppendKey(nil, id), small.AppendValue(nil, load.Ticket{ID: id}), f == load.Dead, id})
		}
	}
	return out
}

func judge(out []arrival) *Judge {
	j := New(small, epoch)
	for _, a := range out {
		if a.dead {
			j.Dead(epoch.Add(a.at), a.key, a.value)
		} else {
			j.Out(a.partition, epoch.Add(a.at), a.key, a.value)
		}
	}
	return j
}

// alive is the position of a record that is out, and of the next of its key.
func alive(out []arrival) (int, int) {
	for i, a := range out {
		for k, b := range out[i+1:] {
			if i > 100 && !a.dead && !b.dead && bytes.Equal(a.key, b.key) {
				return i, i + 1 + k
			}
		}
	}
	panic("no key has two records")
}

func with(fate load.Fate) int64 {
	for id := range small.IDs {
		if small.Fate(id) == fate {
			return id
		}
	}
	panic("no id has this fate")
}

func TestJudgeFindsEachFault(t *testing.T) {
	wanted := int64(len(output()))
	for name, c := range map[string]struct {
		spoil func([]arrival) []arrival
		want  Verdict
	}{
		"none":            {func(o []arrival) []arrival { return o }, Verdict{}},
		"a record lost":   {func(o []arrival) []arrival { i, _ := alive(o); return append(o[:i], o[i+1:]...) }, Verdict{Lost: 1}},
		"all but one":     {func(o []arrival) []arrival { return o[:1] }, Verdict{Lost: wanted - 1}},
		"repeated":        {func(o []arrival) []arrival { i, _ := alive(o); return append(o, o[i]) }, Verdict{Repeated: 1, Unexcused: 1}},
		"keys reordered":  {func(o []arrival) []arrival { i, k := alive(o); o[i], o[k] = o[k], o[i]; return o }, Verdict{Misordered: 1}},
		"on another part": {func(o []arrival) []arrival { _, k := alive(o); o[k].partition++; return o }, Verdict{Misordered: 2}}, // it, and the next that is back
		"value altered": {func(o []arrival) []arrival {
			i, _ := alive(o)
			o[i].value = bytes.Replace(o[i].value, []byte("qwert"), []byte("qwerz"), 1)
			return o
		}, Verdict{Altered: 1}},
		"key altered": {func(o []arrival) []arrival { i, _ := alive(o); o[i].key = []byte("k9999"); return o }, Verdict{Altered: 1}},
		"cut short":   {func(o []arrival) []arrival { i, _ := alive(o); o[i].value = o[i].value[:60]; return o }, Verdict{Altered: 1}},
		"rubbish":     {func(o []arrival) []arrival { return append(o, arrival{value: []byte("rubbish")}) }, Verdict{Foreign: 1}},
		"nothing":     {func(o []arrival) []arrival { return append(o, arrival{}) }, Verdict{Foreign: 1}},
		"id too high": {func(o []arrival) []arrival {
			return append(o, arrival{value: small.AppendValue(nil, load.Ticket{ID: small.IDs})})
		}, Verdict{Foreign: 1}},
		"a later copy too": {func(o []arrival) []arrival {
			i, _ := alive(o)
			return append(o, arrival{o[i].partition, o[i].at, o[i].key, small.AppendValue(nil, load.Ticket{ID: o[i].id, Copy: 1}), false, o[i].id})
		}, Verdict{Leaked: 1}},
		"a later copy instead": {func(o []arrival) []arrival {
			i, _ := alive(o)
			o[i].value = small.AppendValue(nil, load.Ticket{ID: o[i].id, Copy: 1})
			return o
		}, Verdict{Leaked: 1, Lost: 1}},
		"a dropped one out": {func(o []arrival) []arrival {
			id := with(load.Dropped)
			return append(o, arrival{key: small.AppendKey(nil, id), value: small.AppendValue(nil, load.Ticket{ID: id})})
		}, Verdict{Unwanted: 1}},
		"a poisoned one out": {func(o []arrival) []arrival {
			id := with(load.Dead)
			return append(o, arrival{key: small.AppendKey(nil, id), value: small.AppendValue(nil, load.Ticket{ID: id})})
		}, Verdict{Unwanted: 1}},
		"dead for no reason": {func(o []arrival) []arrival { i, _ := alive(o); o[i].dead = true; return o }, Verdict{Unwanted: 1, Lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Wanted, c.want.Arrived = wanted, wanted-c.want.Lost
			got := judge(c.spoil(output())).Verdict(nil)
			if got != c.want {
				t.Fatalf("got %+v\nwant %+v", got, c.want)
			}
			if sound := name == "none"; got.Sound(true) != sound || got.Sound(false) != sound {
				t.Errorf("sound %v, %v", got.Sound(true), got.Sound(false))
			}
		})
	}
}

func TestOnlyAFaultExcusesARepeat(t *testing.T) {
	out := output()
	again := out[200]
	again.at = out[220].at + 3*time.Second
	j := judge(append(out, again))
	came, back := epoch.Add(out[200].at), epoch.Add(again.at)
	for name, c := range map[string]struct {
		excuse Excuse
		want   int64
	}{
		"a fault between":          {Excuse{came.Add(-time.Second), back.Add(time.Second)}, 0},
		"committed before it":      {Excuse{came.Add(time.Millisecond), back.Add(time.Second)}, 1},
		"long after its end":       {Excuse{came.Add(-time.Second), back.Add(-time.Millisecond)}, 1},
		"over before it was there": {Excuse{came.Add(-2 * time.Second), came.Add(-time.Second)}, 1},
	} {
		v := j.Verdict([]Excuse{{}, c.excuse})
		if v.Repeated != 1 || v.Unexcused != c.want || v.Sound(true) || v.Sound(false) != (c.want == 0) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if n := j.Unexcused(nil); len(n) != 1 || n[[2]time.Time{came.Truncate(time.Second), back.Truncate(time.Second)}] != 1 {
		t.Errorf("without an excuse: %v", n)
	}
	if n := j.Within(back, back.Add(time.Millisecond)); n != 1 {
		t.Errorf("%d repeats at that moment", n)
	}
}

func TestOfScatteredCopiesAnyMayComeButOneAlone(t *testing.T) {
	scattered := small
	scattered.Scattered = true
	record := func(copied int) (key, value []byte) {
		t := load.Ticket{ID: with(load.Out), Copy: copied}
		return scattered.AppendKey(nil, t.ID), scattered.AppendValue(nil, t)
	}
	for name, c := range map[string]struct {
		copies []int
		want   Verdict
	}{
		"the first":      {[]int{0}, Verdict{}},
		"the later":      {[]int{1}, Verdict{}},
		"both":           {[]int{0, 1}, Verdict{Leaked: 1}},
		"the other way":  {[]int{1, 0}, Verdict{Leaked: 1}},
		"the later anew": {[]int{1, 1}, Verdict{Repeated: 1, Unexcused: 1}},
	} {
		j := New(scattered, epoch)
		c.want.Wanted, c.want.Arrived = j.verdict.Wanted, 1
		c.want.Lost = c.want.Wanted - 1
		for _, copied := range c.copies {
			key, value := record(copied)
			j.Out(0, epoch.Add(time.Second), key, value)
		}
		if got := j.Verdict(nil); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLatestIsWhenTheSlowestPartitionSpoke(t *testing.T) {
	f := Flow{epoch: epoch, partitions: map[int32][]uint32{}}
	f.add(0, 500)
	f.add(1, 700)
	f.add(0, 900)
	if got := f.Latest(2).Sub(epoch); got != 700*time.Millisecond {
		t.Errorf("%v", got)
	}
	if got := f.Latest(3); !got.Equal(epoch) {
		t.Errorf("a partition that never spoke has done so at %v", got)
	}
}

func TestSilenceIsThatOfOnePartitionSinceTheFault(t *testing.T) {
	f := Flow{epoch: epoch, partitions: map[int32][]uint32{}}
	for ms := uint32(0); ms <= 10_000; ms += 10 {
		f.add(0, ms)
		f.add(0, ms)
		if ms <= 4_000 || ms >= 7_000 {
			f.add(1, ms)
		}
	}
	f.add(2, 0) // it never spoke again: no judgement
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct{ from, to, want, over int }{
		{1_000, 2_000, 10, 1_000}, {3_500, 3_990, 10, 3_500}, {3_500, 4_500, 3_000, 7_000}, {5_000, 5_500, 2_000, 7_000}, {6_500, 20_000, 500, 6_500},
		{8_000, 20_000, 10, 8_000},
	} {
		got, over := f.Silence(at(c.from), at(c.to))
		if got != time.Duration(c.want)*time.Millisecond || !over.Equal(at(c.over)) {
			t.Errorf("between %d and %d ms: %v, over at %v; want %d ms, over at %d ms", c.from, c.to, got, over.Sub(epoch), c.want, c.over)
		}
	}
}
