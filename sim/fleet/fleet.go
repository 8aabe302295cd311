// Package fleet runs simulations in several processes at once, and adds up what they came to. Each process takes a few
// seeds at a time, so that one that breaks down costs little.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamproc/streamproc/sim/judge"
)

// Build compiles the simulation into dir and returns the binary. overlay is a file that puts other sources in the place
// of ours, as go build takes it, or "".
func Build(ctx context.Context, dir, overlay string) (string, error) {
	binary := filepath.Join(dir, "sim.test")
	args := []string{"test", "-c", "-tags", "synctests", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "github.com/streamproc/streamproc/sim")...).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return "", fmt.Errorf("building the simulation: %w\n%s", err, out)
	}
	return binary, nil
}

// Job is what a fleet has to do.
type Job struct {
	Binary    string
	Dir       string // where the traces of failed runs go
	From      uint64
	Runs      uint64
	Processes int
	Scenario  string // the only one, or ""
	Delivery  string // the only one, or ""
	UntilFail bool   // stop at the first failure
	Progress  io.Writer
}

const (
	chunk        = 25               // seeds of one process
	chunkPatient = 10 * time.Minute // a process that takes longer stands still
)

// thrift is what a process of a fleet is told: there are as many as there are cores, each collects its garbage after a run,
// and what one run leaves behind is small.
var thrift = []string{"GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT=700MiB"}

// Report is what a fleet came to.
type Report struct {
	Runs, Records, Failed, Incomplete                                              int
	Lost, Duplicated, Misordered, Altered, Foreign, Backwards, Unexcused, Repeated int
	Halted, Repairs, Unfounded                                                     int
	Moods                                                                          map[string]int
	SlowestRecovery                                                                time.Duration
	Faults                                                                         map[string]int
	Failures                                                                       []judge.Result
	Undelivered                                                                    []judge.Result
	Broken                                                                         []string // processes that ended without a result
	Took                                                                           time.Duration
}

func (r *Report) add(s *judge.Result) {
	v := &s.Verdict
	r.Runs++
	r.Records += s.Records
	r.Lost += v.Lost
	r.Duplicated += v.Duplicated
	r.Misordered += v.Misordered
	r.Altered += v.Altered
	r.Foreign += v.Foreign
	r.Backwards += v.Backwards
	r.Unexcused += v.Unexcused
	r.Repeated += v.Repeated
	r.Halted += len(s.Halts)
	r.Repairs += s.Repairs
	r.Unfounded += s.Unfounded
	r.Moods[s.Mood+" "+s.Delivery]++
	r.SlowestRecovery = max(r.SlowestRecovery, s.Recovery)
	for name, n := range s.Faults {
		r.Faults[name] += n
	}
	if s.Failed() {
		r.Failed++
		r.Failures = append(r.Failures, *s)
	}
	if v.Undelivered > 0 {
		r.Incomplete++
		r.Undelivered = append(r.Undelivered, *s)
	}
}

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %d records in %v: %d runs failed, %d processes broke down\n", r.Runs, r.Records, r.Took.Round(time.Second), r.Failed, len(r.Broken))
	fmt.Fprintf(&b, "lost %d, duplicated %d, misordered %d, altered %d, foreign %d, commits backwards %d, repeated outside of faults %d, halted %d\n",
		r.Lost, r.Duplicated, r.Misordered, r.Altered, r.Foreign, r.Backwards, r.Unexcused, r.Halted)
	fmt.Fprintf(&b, "repeated around faults %d (at least once); undelivered in %d runs; slowest recovery %v\n", r.Repeated, r.Incomplete, r.SlowestRecovery)
	fmt.Fprintf(&b, "repairs of state %d, of which %d where nothing was lost\n", r.Repairs, r.Unfounded)
	fmt.Fprintf(&b, "faults: %s\nworlds: %s\n", judge.Describe(r.Faults), judge.Describe(r.Moods))
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "seed %d (%s, %s) failed: %s\n  again: go run ./sim/cmd/sim -from %d -runs 1\n", f.Seed, f.Scenario, f.Delivery, f.Trace, f.Seed)
	}
	for _, f := range r.Undelivered {
		fmt.Fprintf(&b, "seed %d (%s, %s): %d undelivered: %s\n", f.Seed, f.Scenario, f.Delivery, f.Verdict.Undelivered, f.Trace)
	}
	for _, line := range r.Broken {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// Run does the job.
func Run(ctx context.Context, j Job) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	r := &Report{Faults: map[string]int{}, Moods: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, errs := j.From, []error(nil)
	take := func() (from, n uint64) {
		mu.Lock()
		defer mu.Unlock()
		from, n = next, min(chunk, j.From+j.Runs-next)
		next += n
		return from, n
	}
	for range j.Processes {
		wg.Go(func() {
			for from, n := take(); n > 0 && ctx.Err() == nil; from, n = take() {
				results, broken, err := j.seeds(ctx, from, n)
				mu.Lock()
				for i := range results {
					r.add(&results[i])
				}
				r.Broken = append(r.Broken, broken...)
				errs = append(errs, err)
				if j.UntilFail && (r.Failed > 0 || len(r.Broken) > 0) {
					cancel()
				}
				if j.Progress != nil && r.Runs > 0 {
					fmt.Fprintf(j.Progress, "\r%d runs, %d failed, %v", r.Runs, r.Failed, time.Since(begin).Round(time.Second))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.Took = time.Since(begin)
	return r, errors.Join(errs...)
}

// seeds runs some seeds, in one process unless one of them breaks it down: those behind it get another.
func (j *Job) seeds(ctx context.Context, from, n uint64) (results []judge.Result, broken []string, err error) {
	for end := from + n; from < end && ctx.Err() == nil && err == nil; {
		var some []judge.Result
		var line string
		some, line, err = j.process(ctx, from, end-from)
		results = append(results, some...)
		if from += uint64(len(some)); line != "" {
			broken = append(broken, line)
			from++
		}
	}
	return results, broken, err
}

// process runs some seeds in one process. What it says when it ends without all of them is kept.
func (j *Job) process(ctx context.Context, from, n uint64) (results []judge.Result, broken string, err error) {
	out := filepath.Join(j.Dir, fmt.Sprintf("seeds-%d.jsonl", from))
	defer os.Remove(out)
	px, cancel := context.WithTimeout(ctx, chunkPatient)
	defer cancel()
	cmd := exec.CommandContext(px, j.Binary, "-test.timeout=0", "-sim.from", fmt.Sprint(from), "-sim.runs", fmt.Sprint(n), "-sim.dir", j.Dir, //nolint:gosec // our own arguments
		"-sim.out", out, "-sim.scenario", j.Scenario, "-sim.delivery", j.Delivery)
	cmd.Env = append(slices.Clone(thrift), os.Environ()...) // the last of a name counts: a user may say otherwise
	said, _ := cmd.CombinedOutput()                         // a failed run is in its results, and what has none is broken
	results, err = read(out)
	if uint64(len(results)) == n || err != nil || ctx.Err() != nil {
		return results, "", err
	}
	trace := filepath.Join(j.Dir, fmt.Sprintf("broken-%d.txt", from+uint64(len(results))))
	if err := os.WriteFile(trace, said, 0o600); err != nil {
		return results, "", err
	}
	return results, fmt.Sprintf("seed %d did not end: %s", from+uint64(len(results)), trace), nil
}

func read(file string) (results []judge.Result, err error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r judge.Result
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return results, nil
		case err != nil:
			return results, fmt.Errorf("reading %s: %w", file, err)
		}
		results = append(results, r)
	}
}
