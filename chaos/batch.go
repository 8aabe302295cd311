package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
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
	Talk      io.Writer
}

// Run runs the scenarios, and says whether all were sound.
func (b Batch) Run(ctx context.Context) (sound bool, err error) {
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
	sound = true
	for _, k := range kinds {
		for i := range max(b.Runs, 1) {
			r, err := b.one(ctx, k, b.Seed+uint64(i), filepath.Join(dir, fmt.Sprintf("%s-%d", k.Name, i+1)))
			if err != nil {
				return false, fmt.Errorf("%w (what the instances said is in %s)", err, dir)
			}
			sound = sound && r.Sound()
		}
	}
	switch {
	case !sound:
		fmt.Fprintf(b.Talk, "what the instances said is in %s\n", dir)
	case b.Logs == "":
		err = os.RemoveAll(dir)
	}
	return sound, errors.Join(err, WriteTables(b.Results))
}

// choose finds the scenarios that are named.
func choose(kinds []Kind, names string) (chosen []Kind, err error) {
	if names == "list" || names == "table" {
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
func (b Batch) one(ctx context.Context, k Kind, seed uint64, dir string) (report Report, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return report, fmt.Errorf("making a folder for scenario %s: %w", k.Name, err)
	}
	s := k.Make(seed, b.Scale)
	s.Delivery = b.Delivery
	on, err := StartServers(ctx, s)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	if report, err = Run(ctx, s, Options{Servers: on, Binary: b.Binary, Dir: dir, Talk: b.Talk}); err != nil {
		return report, err
	}
	fmt.Fprintln(b.Talk, report)
	return report, report.keep(b.Results)
}

// keep writes a report as JSON beside the others.
func (r Report) keep(dir string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing a report as JSON: %w", err)
	}
	name := fmt.Sprintf("%s-%s-%s-%d.json", r.Date, r.Delivery, r.Scenario, r.Seed)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // results are for everybody
		return fmt.Errorf("keeping a report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), append(raw, '\n'), 0o644); err != nil { //nolint:gosec // results are for everybody
		return fmt.Errorf("keeping a report: %w", err)
	}
	return nil
}
