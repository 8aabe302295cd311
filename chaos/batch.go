package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamproc/streamproc/internal/provenance"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Batch is some scenarios, run one after the other on servers of their own.
type Batch struct {
	Scenarios string // names, separated by commas; all; list shows them, table writes only the table anew
	Seed      uint64
	Runs      int // of each
	Scale     float64
	Delivery  string
	Soak      time.Duration // of a soak instead of the scenarios; 0: none
	Results   string        // folder: what is found is kept there, and the table of all that is kept is written anew
	Binary    string        // "": built
	Logs      string        // folder in which the logs of the instances stay; "": a temporary one, which goes if all is sound
	Parallel  int           // scenarios at a time, each on servers of its own, of which one with three brokers counts as two; 0 is 1
	Talk      io.Writer
}

// oneRun is a scenario with its seed.
type oneRun struct {
	Kind
	seed uint64
	dir  string
}

// Run runs the scenarios, and says whether all were sound, and where all were asked for at scale 1, whether the goals are reached. One that
// does not come about, or is unsound, stops no other.
func (b Batch) Run(ctx context.Context) (good bool, err error) {
	kinds := Kinds
	if b.Soak > 0 {
		kinds, b.Scenarios = []Kind{{"soak", "", func(seed uint64, _ float64) Scenario { return Soak(seed, b.Soak) }}}, "all"
	}
	switch chosen, err := choose(kinds, b.Scenarios); {
	case err != nil:
		return false, err
	case b.Scenarios == "list":
		for _, k := range kinds {
			fmt.Fprintf(b.Talk, "%-12s %s\n", k.Name, k.What)
		}
		return true, nil
	case b.Scenarios == "table":
		return true, WriteTables(b.Results)
	case b.Scenarios == "goals":
		return b.goals()
	default:
		kinds = chosen
	}
	dir := b.Logs
	if dir == "" {
		if dir, err = os.MkdirTemp("", "streamproc-chaos-"); err != nil {
			return false, fmt.Errorf("making a folder for a chaos run: %w", err)
		}
	}
	if b.Binary == "" {
		if b.Binary, err = Build(ctx, dir); err != nil {
			return false, err
		}
	}
	b.Talk = &sharedWriter{to: b.Talk}
	sound, err := b.all(ctx, kinds, dir)
	switch {
	case !sound || err != nil:
		fmt.Fprintf(b.Talk, "what the instances said is in %s\n", dir)
	case b.Logs == "":
		err = os.RemoveAll(dir)
	}
	reached := true
	if b.Scale == 1 && b.Soak == 0 {
		all, without := b.goals()
		reached, err = all || b.Scenarios != "all", errors.Join(err, without)
	}
	return sound && reached, errors.Join(err, WriteTables(b.Results))
}

// all runs scenarios, several at a time.
func (b Batch) all(ctx context.Context, kinds []Kind, dir string) (sound bool, err error) {
	var mu sync.Mutex
	var errs []error
	commit := provenance.Commit(ctx, "chaos/results")
	all := int64(max(b.Parallel, 1))
	room := semaphore.NewWeighted(all)
	group := errgroup.Group{}
	sound = true
	for _, k := range kinds {
		for i := range max(b.Runs, 1) {
			share := min(k.weight(), all)
			if err := room.Acquire(ctx, share); err != nil {
				break // interrupted
			}
			group.Go(func() error {
				defer room.Release(share)
				r, err := b.one(ctx, oneRun{k, b.Seed + uint64(i), filepath.Join(dir, fmt.Sprintf("%s-%d", k.Name, i+1))}, commit)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					fmt.Fprintf(b.Talk, "%s did not come about: %v\n", k.Name, err)
					errs = append(errs, err)
				}
				sound = sound && err == nil && r.Sound()
				return nil
			})
		}
	}
	_ = group.Wait() // errors are in errs
	if ctx.Err() != nil {
		sound, errs = false, append(errs, ctx.Err())
	}
	return sound, errors.Join(errs...)
}

// weight is how many scenarios of one broker a scenario counts as: three brokers that elect leaders, or start, take what cores there
// are, and what else runs meanwhile is measured beside them.
func (k Kind) weight() int64 {
	if k.Make(0, 1).Brokers > 1 {
		return 2
	}
	return 1
}

// sharedWriter is for several scenarios at a time.
type sharedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *sharedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// choose finds the scenarios that are named.
func choose(kinds []Kind, names string) (chosen []Kind, err error) {
	if names == "list" || names == "table" || names == "goals" {
		return nil, nil
	}
	if names == "all" {
		return kinds, nil
	}
	for _, name := range strings.Split(names, ",") {
		at := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no scenario %q: list shows what there is", name)
		}
		chosen = append(chosen, kinds[at])
	}
	return chosen, nil
}

// one runs one scenario on fresh servers, and keeps what it found.
func (b Batch) one(ctx context.Context, what oneRun, commit string) (report Report, err error) {
	if err := ctx.Err(); err != nil {
		return report, err
	}
	if err := os.MkdirAll(what.dir, 0o700); err != nil {
		return report, fmt.Errorf("making a folder for scenario %s: %w", what.Name, err)
	}
	s := what.Make(what.seed, b.Scale)
	s.Delivery = b.Delivery
	on, err := StartServers(ctx, s)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	if report, err = Run(ctx, s, Options{Servers: on, Binary: b.Binary, Dir: what.dir, Commit: commit, Talk: b.Talk}); err != nil {
		return report, err
	}
	fmt.Fprintln(b.Talk, report)
	return report, report.keep(b.Results)
}

// goals says whether the kept results of the newest commit reach them.
func (b Batch) goals() (bool, error) {
	reports, err := readReports(b.Results)
	if err != nil {
		return false, err
	}
	t := tally(slices.Collect(maps.Values(reports)), b.Delivery)
	fmt.Fprint(b.Talk, t)
	return t.Reached(), nil
}

// keep writes a report as JSON beside the others, in the place of one of the same scenario, level of delivery and seed.
func (r Report) keep(dir string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing a report as JSON: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // results are for everybody
		return fmt.Errorf("keeping a report: %w", err)
	}
	name := fmt.Sprintf("%s-%s-%d.json", r.Delivery, r.Scenario, r.Seed)
	if err := os.WriteFile(filepath.Join(dir, name), append(raw, '\n'), 0o644); err != nil { //nolint:gosec // results are for everybody
		return fmt.Errorf("keeping a report: %w", err)
	}
	return r.supersede(dir)
}

// supersede removes what earlier commits brought for the same scenario: the table is that of one program.
func (r Report) supersede(dir string) error {
	kept, err := readReports(dir)
	for name, k := range kept {
		if k.Scenario == r.Scenario && k.Delivery == r.Delivery && k.Commit != r.Commit {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}
