package chaos

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/chaos/judge"
	"github.com/streamproc/streamproc/chaos/load"
	"github.com/streamproc/streamproc/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// The short form of the first promise, on every commit.
func TestNothingIsLostAndOrderIsKeptWhileInstancesAreKilledComeAndGo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	binary, err := Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	s := Kills(1, 60_000, 2000, 3)
	r, err := Run(ctx, s, Options{Servers: Servers{Brokers: servers.Brokers(t), RedisAddr: servers.RedisAddr(t)}, Binary: binary, Dir: dir, Talk: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if !r.Sound() {
		logs, _ := filepath.Glob(filepath.Join(dir, "instance-*.log"))
		for _, log := range logs {
			raw, _ := os.ReadFile(log)
			t.Logf("%s\n%s", filepath.Base(log), raw)
		}
		t.Error("a promise was broken")
	}
	if n := r.Count()["SIGKILL"]; n != 3 {
		t.Errorf("%d kills", n)
	}
	if xs, _, _ := measured(r.Faults); len(xs) == 0 {
		t.Error("no fault had the time to itself")
	}
}

var epoch = time.Unix(1_800_000_000, 0).UTC()

func TestAPlanFollowsItsSeedAndLeavesRoomAtTheEnds(t *testing.T) {
	s := Kills(7, 1000, 100, 20)
	a, b, other := byTime(s.Plan(random(7))), byTime(s.Plan(random(7))), byTime(s.Plan(random(8)))
	differ := false
	for i := range a {
		if a[i].At != b[i].At || a[i].Fault.Name != b[i].Fault.Name {
			t.Fatalf("event %d is %s at %v, and %s at %v", i, a[i].Fault.Name, a[i].At, b[i].Fault.Name, b[i].At)
		}
		differ = differ || a[i].At != other[i].At
		if a[i].At < firstFault || a[i].At > lastFault || i > 0 && a[i].At < a[i-1].At {
			t.Errorf("event %d is at %v", i, a[i].At)
		}
	}
	if !differ {
		t.Error("two seeds have one plan")
	}
}

func TestTheTableCallsAnUnsoundRunUnsound(t *testing.T) {
	dir := t.TempDir()
	good := Report{Scenario: "calm", Seed: 1, Begun: epoch, Delivery: AtLeastOnce, Records: 1_234_567, Load: load.Load{IDs: 10},
		Verdicts: []judge.Verdict{{Wanted: 10, Arrived: 10}}, Faults: []Happened{{Fault: "SIGKILL", Recovery: 6.2, Silence: 6.3}, {Fault: "join", Planned: true}}}
	bad := good
	bad.Scenario, bad.Verdicts = "storm", []judge.Verdict{{Wanted: 10, Arrived: 10}, {Wanted: 10, Arrived: 9, Lost: 1}}
	for _, r := range []Report{good, bad} {
		if err := r.keep(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteTables(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "index.html"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"0 B of 0 B", "1,234,567", "unsound", "6.2 / 6.2 / 6.2 s (1)", "6.3 / 6.3 / 6.3 s", "1 × SIGKILL"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s does not say %q:\n%s", name, want, raw)
			}
		}
		if n := strings.Count(string(raw), "unsound"); name == "README.md" && n != 1 {
			t.Errorf("%d rows are unsound", n)
		}
	}
	if good.Sound() != true || bad.Sound() || (Report{}).Sound() {
		t.Error("sound is what is unsound")
	}
}

func TestAFaultBeforeTheOutputHasRecoveredExcusesLonger(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Unix(1_800_000_000, 0).Add(time.Duration(s * float64(time.Second)))
	}
	kill := func(begin, silence float64) Happened {
		return Happened{Fault: "SIGKILL", Begin: at(begin), End: at(begin + 1), Recovered: at(begin + silence)}
	}
	faults := []Happened{kill(0, 6), kill(10, 12), kill(15, 7), {Planned: true, Begin: at(30), End: at(30)}, kill(40, 20)}
	crowd(faults)
	crowded := ""
	for _, h := range faults {
		crowded += map[bool]string{true: "x", false: "-"}[h.Crowded]
	}
	if crowded != "-xx--" {
		t.Errorf("crowded %s", crowded)
	}
	list := excuses(faults)
	if len(list) != 4 {
		t.Fatalf("%d excuses", len(list))
	}
	after := aftermath.Seconds()
	for i, want := range []float64{1 + after, 16 + after, 16 + after, 61} {
		if !list[i].End.Equal(at(want)) {
			t.Errorf("excuse %d ends at %v, want %v", i, list[i].End, at(want))
		}
	}
}

func TestAReportIsKeptInAFolderThatIsMadeForIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	if err := (Report{Begun: epoch, Delivery: "at_least_once", Scenario: "kill", Seed: 1}).keep(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "at_least_once-kill-1.json")); err != nil {
		t.Error(err)
	}
}

func TestResultsOfAnEarlierCommitGiveWay(t *testing.T) {
	dir := t.TempDir()
	old := Report{Begun: epoch, Delivery: ExactlyOnce, Scenario: "kill", Seed: 1, Commit: "old"}
	other, next := old, old
	other.Scenario, next.Seed, next.Commit = "redis", 2, "new"
	for _, r := range []Report{old, other, next} {
		if err := r.keep(dir); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := readReports(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		names = append(names, filepath.Base(name))
	}
	if got := strings.Join(names, " "); got != "exactly_once-kill-2.json exactly_once-redis-1.json" {
		t.Errorf("kept: %s", got)
	}
}
