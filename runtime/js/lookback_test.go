package js

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// TestAScriptThatLooksBackIsAFunctionOfTheLog has it throw, after which it starts afresh, in batches of any size.
func TestAScriptThatLooksBackIsAFunctionOfTheLog(t *testing.T) {
	const text = `let last = null; export function map(v) { if (v === 0) throw new Error("zero"); const was = last; last = v; return [was, v]; }`
	values := []string{"1", "2", "0", "3", "4", "0", "5"}
	r := newRig(t)
	for _, size := range []int{1, 2, 4, len(values)} {
		step := &pipeline.LookBack{Rememberer: r.Guest(text), Offsets: 10}
		var got []string
		for lo := 0; lo < len(values); lo += size {
			b := guesttest.Batch(values...)
			b.Records = b.Records[lo:min(lo+size, len(values))]
			if err := step.Process(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			for i := range b.Records {
				if r := &b.Records[i]; r.Fate == stream.Flowing {
					got = append(got, string(r.Value))
				} else {
					got = append(got, r.Fate.String())
				}
			}
		}
		if want := "[null,1] [1,2] dead_lettered [2,3] [3,4] dead_lettered [4,5]"; strings.Join(got, " ") != want {
			t.Errorf("in batches of %d: %v", size, got)
		}
	}
}

// counting counts the records that a guest is given.
type counting struct {
	*runtime.Guest
	given int
}

func (c *counting) Process(ctx context.Context, b *stream.Batch) error {
	c.given += len(b.Records)
	return c.Guest.Process(ctx, b)
}

// TestAThrowCostsNoReplay has a script throw at every second record, and at runs of them: it goes back to the memory it had.
func TestAThrowCostsNoReplay(t *testing.T) {
	const text = `let sum = 0; export function map(v) { if (v === 0) { sum = -1e9; throw new Error("zero"); } return sum += v; }`
	var values []string
	want, sum := []string{}, 0
	add := func(n int, pattern ...string) {
		for range n {
			for _, v := range pattern {
				values = append(values, v)
				if v == "0" {
					want = append(want, "dead_lettered")
					continue
				}
				sum++
				want = append(want, strconv.Itoa(sum))
			}
		}
	}
	const offsets = 2000 // as many as there are, so that a sum looks back on all
	add(500, "1")
	add(300, "0")
	add(300, "1", "0")
	r := newRig(t)
	guest := &counting{Guest: r.Guest(text)}
	step := &pipeline.LookBack{Rememberer: guest, Offsets: offsets}
	var got []string
	for lo := 0; lo < len(values); lo += 100 {
		b := guesttest.Batch(values...)
		b.Records = b.Records[lo:min(lo+100, len(values))]
		if err := step.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Records {
			if r := &b.Records[i]; r.Fate == stream.Flowing {
				got = append(got, string(r.Value))
			} else {
				got = append(got, r.Fate.String())
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("came to %v", got)
	}
	// Each batch is given whole and then record by record; what is given again is the log once, and less than 32 for each throw.
	if most := 2*len(values) + 500 + 32*300; guest.given > most {
		t.Errorf("for %d records %d were given, want no more than %d", len(values), guest.given, most)
	}
}

// TestWhatAMemoryLacksIsSaid has no room for what a script looks back on.
func TestWhatAMemoryLacksIsSaid(t *testing.T) {
	r := newRig(t)
	step := &pipeline.LookBack{Rememberer: r.Guest(`export function map(v) { if (v === 0) throw new Error("zero"); return v; }`), Offsets: 10, Bytes: 600}
	if err := step.Process(t.Context(), guesttest.Batch("1", "2", "3", "0", "5")); err != nil {
		t.Fatal(err)
	}
	if said := r.Log.String(); !strings.Contains(said, "the plugin remembers less than look_back") || !strings.Contains(said, "offsets=") {
		t.Errorf("the log is %q", said)
	}
}

// TestALargeMemoryThatLooksBackIsKept has a script hold most of its memory for what it looks back on. Recycled, it would be given that
// again, and be as large again, for each batch; and what has made it so large would be taken for what cost it its memory.
func TestALargeMemoryThatLooksBackIsKept(t *testing.T) {
	const text = `const held = []; export function map(v) { held.push(new Uint8Array(500_000).fill(v)); if (held.length > 20) held.shift(); return held.map(a => a[0]); }`
	const offsets, records = 19, 200
	r := newRig(t)
	guest := &counting{Guest: r.Guest(text, func(_ runtime.Dialect, s *runtime.Source) { s.LookBack, s.Limits.MemoryBytes = offsets, 16<<20 })}
	step := &pipeline.LookBack{Rememberer: guest, Offsets: offsets}
	for n := range records {
		b := guesttest.Batch(strconv.Itoa(n))
		b.Records[0].Origin.Offset = int64(n)
		if err := step.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := max(0, n-offsets); i <= n; i++ {
			want = append(want, strconv.Itoa(i))
		}
		if got := string(b.Records[0].Value); got != "["+strings.Join(want, ",")+"]" {
			t.Errorf("record %d comes to %s, want %v", n, got, want)
		}
	}
	if guest.given != records || guest.Lives() != 2 || r.Log.Len() > 0 { // the second life is the one that the log is read into
		t.Errorf("of %d records %d were given, in %d lives: %s", records, guest.given, guest.Lives(), r.Log.String())
	}
}

// TestALeakThatLooksBackIsAFunctionOfTheLog has a script's memory fill up, some times over: what it looks back on is made again.
func TestALeakThatLooksBackIsAFunctionOfTheLog(t *testing.T) {
	const text = `const all = [], held = []; export function map(v) { all.push(new Uint8Array(100_000)); held.push(v); if (held.length > 8) held.shift(); return held; }`
	const offsets, records, each = 7, 700, 7
	r := newRig(t)
	step := &pipeline.LookBack{Rememberer: r.Guest(text, func(_ runtime.Dialect, s *runtime.Source) { s.LookBack, s.Limits.MemoryBytes = offsets, 16<<20 }), Offsets: offsets}
	for lo := 0; lo < records; lo += each {
		b := guesttest.Batch()
		for n := range each {
			b.Records = append(b.Records, guesttest.Batch(strconv.Itoa(lo+n)).Records...)
			b.Records[n].Origin.Offset = int64(lo + n)
		}
		if err := step.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for n := range each {
			var want []string
			for i := max(0, lo+n-offsets); i <= lo+n; i++ {
				want = append(want, strconv.Itoa(i))
			}
			if got := string(b.Records[n].Value); got != "["+strings.Join(want, ",")+"]" {
				t.Errorf("record %d comes to %s, want %v; %+v", lo+n, got, want, b.Records[n].Cause)
			}
		}
	}
	if r.Traps < 3 || r.Log.Len() > 0 {
		t.Errorf("%d calls have trapped: %s", r.Traps, r.Log.String())
	}
}
