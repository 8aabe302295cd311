package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Report is what a run found. Its JSON names are stable.
type Report struct {
	Machine   string   `json:"machine"`
	Commit    string   `json:"commit"`
	Broker    string   `json:"broker"`
	Scenarios []Result `json:"scenarios"`
}

// Result is one scenario: medians over the runs that count, and faults over all of them.
type Result struct {
	Scenario         string  `json:"scenario"`
	Records          int64   `json:"records"`
	RecordsPerSecond float64 `json:"records_per_second"`
	CPU              CPU     `json:"cpu_seconds_per_million"`
	RatioToFloor     float64 `json:"ratio_to_floor"`
	AASpread         float64 `json:"aa_spread"` // the dearest run of the floor over its cheapest
	PeakRSSBytes     int64   `json:"peak_rss_bytes"`
	StartupCPU       float64 `json:"startup_cpu_seconds"` // until the first record arrived
	Lost             int64   `json:"lost"`
	Duplicated       int64   `json:"duplicated"`
	Misordered       int64   `json:"misordered"`
	Altered          int64   `json:"altered"`
	Runs             []Turn  `json:"runs"`
}

// CPU is CPU-seconds for a million records of input, by process.
type CPU struct {
	Streamproc float64 `json:"streamproc"`
	Floor      float64 `json:"floor"`
	Broker     float64 `json:"broker"` // while streamproc ran
	Redis      float64 `json:"redis"`
}

// Sound says whether every record arrived once, in order and as it should be.
func (r Report) Sound() bool {
	return !slices.ContainsFunc(r.Scenarios, func(s Result) bool { return s.Lost+s.Duplicated+s.Misordered+s.Altered > 0 })
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	fmt.Fprintf(w, "machine %s, commit %s, broker %s\nCPU in seconds per million records\n\n", r.Machine, r.Commit, r.Broker)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\trecords\trecords/s\tstreamproc\tfloor\tratio\tA/A\tbroker\tredis\tpeak RSS MB\tlost\tduplicated\tmisordered\taltered\t")
	for _, s := range r.Scenarios {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%d\t%d\t%d\t%d\t\n", s.Scenario, s.Records, s.RecordsPerSecond,
			s.CPU.Streamproc, s.CPU.Floor, s.RatioToFloor, s.AASpread, s.CPU.Broker, s.CPU.Redis, float64(s.PeakRSSBytes)/1e6,
			s.Lost, s.Duplicated, s.Misordered, s.Altered)
	}
	return t.Flush()
}

// summarise makes a scenario's result of its runs. The verdicts of the floor are not counted: a floor that loses is an error.
func summarise(scenario string, records int64, runs []Turn) Result {
	r := Result{Scenario: scenario, Records: records, Runs: runs}
	var mine, floors []Turn
	for _, run := range runs {
		if run.Floor {
			floors = append(floors, run)
			continue
		}
		mine = append(mine, run)
		r.PeakRSSBytes = max(r.PeakRSSBytes, run.PeakRSSBytes)
		r.Lost += run.Lost
		r.Duplicated += run.Duplicated
		r.Misordered += run.Misordered
		r.Altered += run.Altered
	}
	r.RecordsPerSecond = median(mine, func(r Turn) float64 { return r.RecordsPerSecond })
	r.StartupCPU = median(mine, func(r Turn) float64 { return r.StartupCPU })
	r.CPU = CPU{Streamproc: median(mine, Turn.cpu), Floor: median(floors, Turn.cpu),
		Broker: median(mine, func(r Turn) float64 { return r.BrokerCPU }), Redis: median(mine, func(r Turn) float64 { return r.RedisCPU })}
	if r.CPU.Floor > 0 {
		r.RatioToFloor = r.CPU.Streamproc / r.CPU.Floor
		r.AASpread = slices.MaxFunc(floors, cheaper).CPU / slices.MinFunc(floors, cheaper).CPU
	}
	return r
}

func cheaper(a, b Turn) int {
	if a.CPU < b.CPU {
		return -1
	}
	return 1
}

func median(runs []Turn, of func(Turn) float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	var xs []float64
	for _, r := range runs {
		xs = append(xs, of(r))
	}
	slices.Sort(xs)
	if n := len(xs); n%2 == 0 {
		return (xs[n/2-1] + xs[n/2]) / 2
	}
	return xs[len(xs)/2]
}
