package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/bench/bid"
)

func example() Report {
	turn := func(isFloor bool, cpu float64, v bid.Verdict) Turn {
		return Turn{Floor: isFloor, CPU: cpu, BrokerCPU: 0.5, RecordsPerSecond: 1e6 / cpu, PeakRSSBytes: int64(cpu * 1e8), Verdict: v}
	}
	r := summarise("pass", 1000, []Turn{
		turn(true, 1, bid.Verdict{}), turn(false, 1.5, bid.Verdict{Lost: 1}),
		turn(true, 0.8, bid.Verdict{}), turn(false, 1.2, bid.Verdict{Misordered: 2}),
		turn(true, 1.2, bid.Verdict{}), turn(false, 4, bid.Verdict{Duplicated: 3, Altered: 4}),
	})
	return Report{Machine: "m", Commit: "c", Broker: "kfake", Scenarios: []Result{r}}
}

func TestSummaryTakesMediansAndAddsFaults(t *testing.T) {
	r := example().Scenarios[0]
	if r.CPU.Streamproc != 1.5 || r.CPU.Floor != 1 || r.RatioToFloor != 1.5 || r.AASpread < 1.49 || r.AASpread > 1.51 || r.PeakRSSBytes != 4e8 {
		t.Fatalf("%+v", r)
	}
	if r.Lost != 1 || r.Misordered != 2 || r.Duplicated != 3 || r.Altered != 4 {
		t.Fatalf("%+v", r)
	}
}

func TestReportWithAnyFaultIsUnsound(t *testing.T) {
	for _, r := range []Result{{Lost: 1}, {Duplicated: 1}, {Misordered: 1}, {Altered: 1}} {
		if (Report{Scenarios: []Result{{}, r}}).Sound() {
			t.Fatalf("%+v is sound", r)
		}
	}
	if !(Report{Scenarios: []Result{{}}}).Sound() {
		t.Fatal("a report without faults is unsound")
	}
}

func TestJSONKeepsItsNames(t *testing.T) {
	var b strings.Builder
	if err := example().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(b.String()), &m); err != nil {
		t.Fatal(err)
	}
	s := m["scenarios"].([]any)[0].(map[string]any)
	for _, name := range strings.Fields("scenario records records_per_second cpu_seconds_per_million ratio_to_floor aa_spread peak_rss_bytes lost duplicated misordered") {
		if _, ok := s[name]; !ok {
			t.Errorf("no %s in %v", name, s)
		}
	}
	for _, name := range []string{"streamproc", "floor", "broker", "redis"} {
		if _, ok := s["cpu_seconds_per_million"].(map[string]any)[name]; !ok {
			t.Errorf("no CPU of %s", name)
		}
	}
	for _, name := range []string{"machine", "commit", "broker"} {
		if _, ok := m[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

func TestTextHasALineForEachScenario(t *testing.T) {
	var b strings.Builder
	if err := example().Text(&b); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(strings.Split(b.String(), "\n")[4]); strings.Join(got, " ") != "pass 1000 666667 1.50 1.00 1.50 1.50 0.50 0.00 400 1 3 2 4" {
		t.Fatalf("%q", got)
	}
}

func TestFiguresCountFromTheFirstRecordToTheLast(t *testing.T) {
	at := time.Unix(0, 0)
	s := stage{fed: 2000, want: 1000}
	r := s.figures(sample{at: at, arrived: 500, program: time.Second},
		sample{at: at.Add(time.Second), arrived: 1000, program: 3 * time.Second, broker: time.Second, db: time.Second / 2})
	if r.StartupCPU != 1 || r.CPU != 2000 || r.BrokerCPU != 1000 || r.RedisCPU != 500 || r.RecordsPerSecond != 1000 {
		t.Fatalf("%+v", r)
	}
	if r := s.figures(sample{}, sample{}); r.CPU != 0 || r.RecordsPerSecond != 0 {
		t.Fatalf("nothing arrived, yet %+v", r)
	}
}
