package js

import (
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
)

// TestAScriptThatLooksBackIsAFunctionOfTheLog has it throw, after which it starts afresh, in batches of any size.
func TestAScriptThatLooksBackIsAFunctionOfTheLog(t *testing.T) {
	const text = `let last = null; export function map(v) { if (v === 0) throw new Error("zero"); const was = last; last = v; return [was, v]; }`
	values := []string{"1", "2", "0", "3", "4", "0", "5"}
	r := newRig(t)
	for _, size := range []int{1, 2, 4, len(values)} {
		step := &pipeline.LookBack{Rememberer: r.guest(text), Offsets: 10}
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
