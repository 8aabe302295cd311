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
