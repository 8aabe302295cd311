package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/chaos/judge"
)

// reached is a batch that reaches every goal.
func reached() Report {
	r := Report{Scenario: "all", Commit: "new", Begun: epoch, Delivery: ExactlyOnce, Records: wantRecords, Verdicts: []judge.Verdict{{Wanted: 1, Arrived: 1}},
		CaughtUp: 60, RedisPeak: 10, RedisBound: 10}
	for _, w := range wantFaults {
		r.Faults = append(r.Faults, Happened{Fault: w.fault, Times: w.times, Begin: epoch, End: epoch.Add(longFreeze), Recovery: 10.9})
	}
	return r
}

func TestEachGoalCanBeMissed(t *testing.T) {
	if g := tally([]Report{reached()}, ExactlyOnce); !g.Reached() {
		t.Fatalf("it misses a goal:\n%s", g)
	}
	for line, spoil := range map[string]func(*Report){
		"records":                func(r *Report) { r.Records-- },
		"SIGKILL":                func(r *Report) { r.Faults[0].Times-- },
		"SIGSTOP":                func(r *Report) { r.Faults[1].Times-- },
		"Redis SIGKILL":          func(r *Report) { r.Faults[2].Times-- },
		"Redis rollback":         func(r *Report) { r.Faults[3].Times-- },
		"broker SIGKILL":         func(r *Report) { r.Faults[4].Times-- },
		"SIGSTOP of 60 s":        func(r *Report) { r.Faults[1].End = r.Faults[1].Begin.Add(longFreeze - time.Second) },
		"lost":                   func(r *Report) { r.Verdicts[0].Lost++ },
		"duplicated":             func(r *Report) { r.Verdicts[0].Repeated++ },
		"misordered":             func(r *Report) { r.Verdicts[0].Misordered++ },
		"spoilt":                 func(r *Report) { r.Verdicts[0].Foreign++ },
		"unsound runs":           func(r *Report) { r.Trouble = []string{"an instance ended"} },
		"99 % of recoveries":     func(r *Report) { r.Faults[3].Recovery = 11 },
		"Redis beyond its bound": func(r *Report) { r.RedisPeak++ },
		"lag 0 after the faults": func(r *Report) { r.CaughtUp = 60.1 },
	} {
		r := reached()
		spoil(&r)
		g := tally([]Report{r}, ExactlyOnce)
		missed := ""
		for _, l := range g.Lines {
			if !l.Reached && (l.What != "unsound runs" || line == "unsound runs") {
				missed += l.What
			}
		}
		if missed != line || !strings.Contains(g.String(), "MISSED") {
			t.Errorf("%s: missed is %q\n%s", line, missed, g)
		}
	}
}

func TestOnlyRunsOfTheNewestCommitAndOfOneDeliveryCount(t *testing.T) {
	old, other, half := reached(), reached(), reached()
	old.Commit, old.Begun, other.Delivery = "old", epoch.Add(-time.Hour), AtLeastOnce
	half.Records /= 2
	if g := tally([]Report{old, other, half}, ExactlyOnce); g.Runs != 1 || g.Reached() {
		t.Errorf("%s", g)
	}
	if g := tally([]Report{old, half, half}, ExactlyOnce); g.Runs != 2 || !g.Reached() {
		t.Errorf("%s", g)
	}
	if tally(nil, ExactlyOnce).Reached() {
		t.Error("nothing reaches the goals")
	}
}

func TestAFaultThatIsWaitedForInVainCountsForRecovery(t *testing.T) {
	faults := []Happened{
		{Fault: "a", Begin: epoch, Recovered: epoch.Add(50 * time.Second), Overdue: true, Recovery: 50},
		{Fault: "b", Begin: epoch.Add(45 * time.Second), Recovered: epoch.Add(50 * time.Second), Recovery: 5},
		{Fault: "c", Begin: epoch.Add(90 * time.Second), Recovered: epoch.Add(90 * time.Second), Recovery: 1},
	}
	crowd(faults)
	if xs, crowded, _ := measured(faults); len(xs) != 2 || xs[1] != 50 || crowded != 1 {
		t.Errorf("%v, %d crowded", xs, crowded)
	}
}
