//go:build synctests

package sim

import (
	"encoding/json"
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/streamproc/streamproc/sim/judge"
)

var (
	from  = flag.Uint64("sim.from", 0, "first seed")
	runs  = flag.Uint64("sim.runs", 14, "number of seeds")
	only  = flag.String("sim.scenario", "", "the only scenario")
	level = flag.String("sim.delivery", "", "the only delivery level")
	dir   = flag.String("sim.dir", "", "where the files of failed runs go; empty: a temporary folder")
	out   = flag.String("sim.out", "", "file to which results are written, as JSON lines")
)

func TestEveryPromiseIsKeptWhateverFails(t *testing.T) {
	o := Options{Deliveries: Deliveries, Only: *only, Dir: *dir}
	if *level != "" {
		o.Deliveries = []string{*level}
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	var results *json.Encoder
	if *out != "" {
		f, err := os.Create(*out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		results = json.NewEncoder(f)
	}
	for seed := *from; seed < *from+*runs; seed++ {
		emptyPools()
		var r *judge.Result
		synctest.Test(t, func(t *testing.T) {
			var err error
			if r, err = Run(seed, o); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
		t.Logf("seed %d: %s, %s, %s, %d records, recovered in %v, %d repeated, %d undelivered; %s", seed, r.Scenario, r.Mood, r.Delivery, r.Records,
			r.Recovery, r.Verdict.Repeated, r.Verdict.Undelivered, judge.Describe(r.Faults))
		if results != nil {
			if err := results.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
		if r.Failed() {
			t.Errorf("seed %d failed, recovered in %v, %d repairs without a loss; everything about it is in %s; again: go test -tags synctests ./sim -sim.from %d -sim.runs 1 -sim.dir .\n%s\n%s",
				seed, r.Recovery, r.Unfounded, r.Trace, seed, strings.Join(r.Verdict.Findings, "\n"), strings.Join(r.Halts, "\n"))
		}
	}
}

// emptyPools drops what libraries keep in a sync.Pool: go-redis keeps timers there, and one that was made in a bubble may
// not be waited for in another. What one collection finds in a pool, the next one drops.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}
