package chaos

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed table.md.tmpl table.html.tmpl
var tables embed.FS

// row is one line of the table: all runs of a scenario at one level of delivery.
type row struct {
	Scenario, Delivery, Servers, Seeds, Faults, Commits, Date string
	Runs                                                      int
	Records                                                   string
	Lost, Leaked, Repeated, Unexcused, Misordered, Spoilt     int64
	Recovery, Silence, Settled, Drain                         string
	RSS, RedisPeak                                            string
	Trouble                                                   int
	Sound                                                     bool
	Beyond                                                    string // which goals of its own it misses
}

// page is what the templates are given.
type page struct {
	Machines []string
	Goals    Goals // of exactly_once
	Rows     []row
	Totals   []total
}

// total is a fault at one level of delivery: how often it happened, and what became of the records of all runs in which it did.
type total struct {
	Delivery, Fault                         string
	Count, Runs                             int
	Records                                 string
	Lost, Duplicated, Unexcused, Misordered int64
	Recovery, Silences                      string
}

// WriteTables reads every report in dir and writes README.md and index.html beside them.
func WriteTables(dir string) error {
	reports, err := readReports(dir)
	if err != nil {
		return err
	}
	var inOrder []Report
	for _, name := range slices.Sorted(maps.Keys(reports)) {
		inOrder = append(inOrder, reports[name])
	}
	p := summarise(inOrder)
	var md, html strings.Builder
	if err := texttemplate.Must(texttemplate.ParseFS(tables, "table.md.tmpl")).Execute(&md, p); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if err := template.Must(template.ParseFS(tables, "table.html.tmpl")).Execute(&html, p); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for name, text := range map[string]string{"README.md": md.String(), "index.html": html.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // results are for everybody
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}

// readReports reads them all, by the names of their files.
func readReports(dir string) (map[string]Report, error) {
	all := map[string]Report{}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another scenario has just replaced it
		}
		if err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		var r Report
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("reading results %s: %w", f, err)
		}
		all[f] = r
	}
	return all, nil
}

func summarise(reports []Report) (p page) {
	type group struct{ delivery, name string } // of a scenario, or of a fault
	p.Goals = tally(reports, ExactlyOnce)
	scenarios, faults, machines := map[group][]Report{}, map[group][]Report{}, map[string]bool{}
	for _, r := range reports {
		g := group{r.Delivery, r.Scenario}
		scenarios[g] = append(scenarios[g], r)
		machines[r.Machine] = true
		for fault := range r.Count() {
			g := group{r.Delivery, fault}
			faults[g] = append(faults[g], r)
		}
	}
	order := func(a, b group) int { return cmp.Or(cmp.Compare(a.delivery, b.delivery), cmp.Compare(a.name, b.name)) }
	p.Machines = slices.Sorted(maps.Keys(machines))
	for _, g := range slices.SortedFunc(maps.Keys(scenarios), order) {
		p.Rows = append(p.Rows, rowOf(scenarios[g]))
	}
	for _, g := range slices.SortedFunc(maps.Keys(faults), order) {
		p.Totals = append(p.Totals, totalOf(g.name, faults[g]))
	}
	return p
}

func totalOf(fault string, runs []Report) total {
	t := total{Delivery: runs[0].Delivery, Fault: fault, Runs: len(runs)}
	var records int64
	var happened []Happened
	for _, r := range runs {
		v := r.Sum()
		records += r.Records
		t.Lost, t.Duplicated, t.Unexcused, t.Misordered = t.Lost+v.Lost, t.Duplicated+v.Leaked+v.Repeated, t.Unexcused+v.Unexcused, t.Misordered+v.Misordered
		for _, h := range r.Faults {
			if h.Fault == fault {
				happened = append(happened, h)
			}
		}
	}
	t.Count, t.Records = len(happened), humanize.Comma(records)
	t.Recovery, t.Silences = recoveries(happened), silences(happened)
	return t
}

func rowOf(runs []Report) row {
	first := runs[0]
	w := row{Scenario: first.Scenario, Delivery: first.Delivery, Runs: len(runs), Date: first.Begun.Format(time.DateOnly), Sound: true,
		Servers: strings.TrimSpace(fmt.Sprintf("%d × Kafka, Redis %s", first.Brokers, strings.Join(first.Redis, " ")))}
	var records, rss, redis, bound int64
	var settled, caughtUp, drain float64
	beyond := map[string]bool{}
	var faults []Happened
	seeds, commits, counts := []string{}, map[string]bool{}, map[string]int{}
	for _, r := range runs {
		v := r.Sum()
		w.Lost, w.Leaked, w.Repeated, w.Unexcused = w.Lost+v.Lost, w.Leaked+v.Leaked, w.Repeated+v.Repeated, w.Unexcused+v.Unexcused
		w.Misordered, w.Spoilt = w.Misordered+v.Misordered, w.Spoilt+v.Altered+v.Foreign+v.Unwanted
		w.Trouble, w.Sound = w.Trouble+len(r.Trouble), w.Sound && r.Sound()
		records, rss, redis = records+r.Records, max(rss, r.PeakRSS), max(redis, r.RedisPeak)
		settled, caughtUp, drain = max(settled, r.Settled), max(caughtUp, r.CaughtUp), max(drain, r.SlowestDrain)
		bound = max(bound, r.RedisBound)
		for _, goal := range r.beyond() {
			beyond[goal] = true
		}
		seeds, commits[r.Commit] = append(seeds, fmt.Sprint(r.Seed)), true
		for fault, n := range r.Count() {
			counts[fault] += n
		}
		faults = append(faults, r.Faults...)
	}
	w.Seeds, w.Commits = strings.Join(seeds, ", "), strings.Join(slices.Sorted(maps.Keys(commits)), ", ")
	w.Records, w.RSS, w.RedisPeak = humanize.Comma(records), humanize.IBytes(uint64(rss)), humanize.IBytes(uint64(redis))+" of "+humanize.IBytes(uint64(bound))
	w.Beyond = strings.Join(slices.Sorted(maps.Keys(beyond)), ", ")
	w.Settled, w.Drain = fmt.Sprintf("%.1f s (%.1f s)", settled, caughtUp), fmt.Sprintf("%.1f s", drain)
	var words []string
	for _, fault := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d × %s", counts[fault], fault))
	}
	w.Faults = strings.Join(words, ", ")
	w.Recovery, w.Silence = recoveries(faults), silences(faults)
	return w
}

// recoveries are those of the faults that had the time to themselves.
func recoveries(faults []Happened) string {
	xs, _, _ := measured(faults)
	if len(xs) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%d)", quantiles(xs), len(xs))
}

// silences are those of all faults while records flowed.
func silences(faults []Happened) string {
	var xs []float64
	for _, h := range faults {
		if !h.Planned && !h.Unfed {
			xs = append(xs, h.Silence)
		}
	}
	if len(xs) == 0 {
		return "–"
	}
	return quantiles(xs)
}

// quantiles are the median, the 99th percentile and the largest.
func quantiles(xs []float64) string {
	slices.Sort(xs)
	return fmt.Sprintf("%.1f / %.1f / %.1f s", quantile(xs, 0.5), quantile(xs, 0.99), xs[len(xs)-1])
}

// quantile is the one below which a share of what is sorted lies; 0 if there is nothing.
func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (r Report) remarks() (list []string) {
	if r.Growth != nil {
		list = append(list, r.Growth.String())
	}
	for _, t := range r.Trouble {
		list = append(list, "trouble: "+t)
	}
	return list
}

// String is a report in a few lines.
func (r Report) String() string {
	w := rowOf([]Report{r})
	word := "UNSOUND"
	if w.Sound {
		word = "sound"
	}
	if w.Beyond != "" {
		word += ", beyond its goal: " + w.Beyond
	}
	return fmt.Sprintf("%s: %s, seed %d, %s, %s records in %.0f s; %s\n  lost %d, leaked %d, repeated %d (%d without excuse), misordered %d, spoilt %d\n"+
		"  recovery %s, silence %s (median, 99 %%, largest); settled %s after the last record (the last fault); slowest drain %s; largest instance %s, Redis %s%s",
		word, r.Scenario, r.Seed, r.Delivery, w.Records, r.Seconds, w.Faults, w.Lost, w.Leaked, w.Repeated, w.Unexcused, w.Misordered, w.Spoilt,
		w.Recovery, w.Silence, w.Settled, w.Drain, w.RSS, w.RedisPeak, strings.Join(append([]string{""}, r.remarks()...), "\n  "))
}
