package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
)

const keeping = `version: 1
pipelines:
  goes-on:
    commit_interval: 50ms
    source: { topics: [goes.in] }
    steps:
      - { name: once, dedup: { key: $.id } }
      - { name: in-order, reorder: { key: $.k, sequence: $.seq, first: 0, max_wait: 20s } }
    sinks: { out: { topic: goes.out } }
`

// session runs the pipeline until a condition holds, and drains it.
func (r *rig) session(until func(Status) bool) {
	r.Helper()
	r.d = build(r.T, keeping, map[string]string{"KAFKA_BROKERS": r.stack.Brokers()[0], "REDIS_ADDR": r.stack.RedisAddr()})
	r.run()
	r.until("goes-on", until)
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.Fatal(err)
		}
	case <-time.After(patience):
		r.Fatal("it does not drain")
	}
}

func (r *rig) keeper(f func(*Keeper)) {
	r.Helper()
	var p *config.Pipeline
	for _, running := range r.d.pipelines {
		p = running.cfg
	}
	k, err := NewKeeper(p)
	if err != nil {
		r.Fatal(err)
	}
	f(k)
	if err := k.Close(); err != nil {
		r.Error(err)
	}
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) wantOutlook(k *Keeper, want string) {
	r.Helper()
	states, err := k.States(r.Context())
	r.must(err)
	var got []string
	for _, s := range states {
		got = append(got, s.Step+" "+s.Outlook)
	}
	if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
		r.Errorf("state: %s", diff)
	}
}

func TestAMoveForwardReleasesWhatItSkips(t *testing.T) {
	r := newRig(t, keeping)
	r.keeper(func(k *Keeper) { r.wantOutlook(k, "once new, in-order new") })
	r.feed("goes.in", `{"id":"a","k":"x","seq":0}`, `{"id":"b","k":"x","seq":1}`)
	r.session(func(s Status) bool { return s.Ledger.Out == 2 })
	r.feed("goes.in", `{"id":"c","k":"x","seq":2}`, `{"id":"d","k":"x","seq":3}`)
	r.keeper(func(k *Keeper) {
		r.wantOutlook(k, "once kept, in-order kept")
		plan, err := k.Plan(t.Context(), Target{Latest: true})
		r.must(err)
		if Rewinds(plan) || *plan[0].To != 4 || plan[0].Committed != 2 {
			t.Fatalf("the plan is %+v", plan)
		}
		r.must(k.Move(t.Context(), plan))
		moved, err := k.Offsets(t.Context())
		r.must(err)
		if moved[0].Committed != 4 || moved[0].Skips != "2-4" || moved[0].Lag != 0 {
			t.Errorf("moved to %+v", moved[0])
		}
		r.wantOutlook(k, "once lost: rebuild, in-order lost: rebuild")
	})
	// d was skipped: its copy is no duplicate; a was not. 4 does not wait for 2 and 3, and is no gap.
	r.feed("goes.in", `{"id":"a","k":"x","seq":0}`, `{"id":"d","k":"y","seq":0}`, `{"id":"e","k":"x","seq":4}`)
	r.session(func(s Status) bool { return s.Ledger.Out == 2 && s.Ledger.Duplicates == 1 && s.Ledger.In == 3 })
}

func TestAMoveBackHasOutputsComeAgain(t *testing.T) {
	r := newRig(t, keeping)
	r.feed("goes.in", `{"id":"a","k":"x","seq":0}`, `{"id":"b","k":"x","seq":1}`, `{"id":"a","k":"x","seq":0}`)
	r.session(func(s Status) bool { return s.Ledger.In == 3 })
	r.keeper(func(k *Keeper) {
		plan, err := k.Plan(t.Context(), Target{Offset: 1})
		r.must(err)
		if !Rewinds(plan) {
			t.Fatalf("the plan is %+v, and no rewind", plan)
		}
		r.must(k.Move(t.Context(), plan))
	})
	r.session(func(s Status) bool { return s.Ledger.In == 2 && s.Ledger.Out == 1 && s.Ledger.Duplicates == 1 })
}

func TestWhatIsDroppedIsDerivedAgainWhileThePipelineRuns(t *testing.T) {
	r := newRig(t, keeping)
	r.feed("goes.in", `{"id":"a","k":"x","seq":0}`, `{"id":"b","k":"x","seq":1}`)
	r.run()
	r.until("goes-on", func(s Status) bool { return s.Ledger.Out == 2 })
	r.keeper(func(k *Keeper) {
		if err := k.Idle(t.Context()); err == nil || !strings.Contains(err.Error(), "stop every instance") {
			t.Errorf("a group with members is said to be idle: %v", err)
		}
		plan, err := k.Plan(t.Context(), Target{Earliest: true})
		r.must(err)
		if err := k.Move(t.Context(), plan); err == nil {
			t.Error("offsets were moved under a pipeline that runs")
		}
		r.must(k.Drop(t.Context()))
	})
	r.feed("goes.in", `{"id":"b","k":"x","seq":1}`, `{"id":"c","k":"x","seq":2}`)
	r.until("goes-on", func(s Status) bool { return s.Ledger.Out == 3 && s.Ledger.Duplicates == 1 && s.Ledger.Late == 0 })
	r.keeper(func(k *Keeper) { r.wantOutlook(k, "once kept, in-order kept") })
}
