package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/streamproc/streamproc/internal/provenance"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// Options say on what a scenario runs.
type Options struct {
	Servers Servers
	Binary  string    // of streamproc
	Dir     string    // for the configuration and the logs
	Commit  string    // of the source
	Talk    io.Writer // told of each fault as it happens
}

const (
	stuckLimit  = 90 * time.Second // without anything new, what is missing is lost, or stands still
	quiet       = 2 * time.Second  // how long a complete output is watched for more
	behindLimit = 60 * time.Second // for the transactions that the last instances have left open
	memoryEvery = 500 * time.Millisecond
	lookEvery   = 100 * time.Millisecond
	// uncommitted is how long before a fault an output may have come that is not committed yet: a checkpoint takes its
	// time on a busy machine.
	uncommitted = 3 * time.Second
	// aftermath is how long after its end a fault may still show.
	aftermath = sessionTimeout + 5*time.Second
)

// run is one scenario under way.
type run struct {
	Scenario
	Options
	rig    *rig
	lanes  []*lane
	admin  *kadm.Client
	report Report
}

// Run runs a scenario. It has ended every process that it started when it returns. An unsound outcome is in the report, and no
// error; an error says that the run itself did not come about.
func Run(ctx context.Context, s Scenario, o Options) (Report, error) {
	s.complete()
	r := &run{Scenario: s, Options: o, rig: &rig{Servers: o.Servers, binary: o.Binary, dir: o.Dir}}
	begin := time.Now()
	r.report = Report{Scenario: s.Name, Seed: s.Load.Seed, Machine: provenance.Machine(), Commit: o.Commit, Delivery: s.Delivery,
		Brokers: len(o.Servers.Brokers), Redis: s.RedisArgs, Pipelines: s.Pipelines, Rate: s.Rate, Load: s.Load, Scale: s.scale, Begun: begin.UTC().Truncate(time.Second)}
	cl, err := kgo.NewClient(kgo.SeedBrokers(o.Servers.Brokers...))
	if err != nil {
		return r.report, fmt.Errorf("making a client of Kafka: %w", err)
	}
	r.admin = kadm.NewClient(cl)
	defer r.admin.Close()
	defer r.rig.killAll()
	if err := r.prepare(ctx, begin); err != nil {
		return r.report, err
	}
	if err := r.flow(ctx); err != nil {
		return r.report, fmt.Errorf("scenario %s, seed %d: %w", s.Name, s.Load.Seed, err)
	}
	r.finish(begin)
	return r.report, nil
}

// prepare makes topics and configuration, and starts the instances.
func (r *run) prepare(ctx context.Context, epoch time.Time) error {
	id := fmt.Sprintf("chaos-%d-%d", os.Getpid(), epoch.UnixNano()%1e9)
	for i := range r.Pipelines {
		l := r.Load
		l.Seed += uint64(i)
		r.lanes = append(r.lanes, newLane(fmt.Sprintf("%s-%d", id, i+1), l, epoch))
		if err := r.lanes[i].createTopics(ctx, r.Servers.Brokers); err != nil {
			return err
		}
	}
	r.rig.lanes = r.lanes
	brokers, redis := r.Servers.seen()
	if err := r.rig.write(r.configuration(r.lanes, brokers, redis)); err != nil {
		return err
	}
	for range r.Instances {
		if err := r.rig.start(); err != nil {
			return err
		}
	}
	return nil
}

// flow writes, breaks and reads, until everything has come or nothing comes any more, and drains the instances.
func (r *run) flow(ctx context.Context) error {
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	readers, rx := errgroup.WithContext(reading)
	for _, l := range r.lanes {
		readers.Go(func() error { return l.watch(rx, r.Servers.Brokers) })
	}
	readers.Go(func() error { r.watchMemory(rx); return nil })
	if r.soak {
		readers.Go(func() error { return r.rig.watchGrowth(rx) })
	}
	writers, wx := errgroup.WithContext(ctx)
	for _, l := range r.lanes {
		writers.Go(func() error { return l.feed(wx, r.Servers.Brokers, r.Rate) })
	}
	writers.Go(func() error {
		err := r.follow(wx)
		for _, l := range r.lanes {
			close(l.hold)
		}
		return err
	})
	if err := writers.Wait(); err != nil {
		return err
	}
	r.settle(ctx, time.Now())
	r.blame(r.rig.alive())
	for _, l := range r.lanes {
		n, err := l.lag(ctx, r.admin)
		if r.blame(err); n != 0 {
			r.blame(fmt.Errorf("group %s has not committed %d records", l.name, n))
		}
	}
	r.blame(r.rig.drainAll())
	r.readToTheEnd(ctx)
	stopReading()
	return readers.Wait()
}

// watchMemory looks at all instances, and at Redis where it is ours, until ctx ends.
func (r *run) watchMemory(ctx context.Context) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range r.rig.all() {
			r.rig.remember(p)
		}
		if redis := r.rig.redis(); redis != nil {
			ax, cancel := context.WithTimeout(ctx, memoryEvery)
			if n, err := redis.Memory(ax); err == nil { // it may well be down
				r.report.RedisPeak = max(r.report.RedisPeak, n)
			}
			cancel()
		}
	}
}

// blame takes note of what went wrong but for the records.
func (r *run) blame(err error) {
	if err != nil {
		fmt.Fprintf(r.Talk, "%s: %v\n", r.Name, err)
		r.report.Trouble = append(r.report.Trouble, err.Error())
	}
}

// follow follows the plan.
func (r *run) follow(ctx context.Context) error {
	if r.Plan == nil {
		return nil
	}
	rng := random(r.Load.Seed)
	for _, e := range byTime(r.Plan(rng)) {
		if err := r.reach(ctx, e.At); err != nil {
			return err
		}
		if err := r.calm(ctx, rng); err != nil {
			return err
		}
		if err := r.rig.alive(); err != nil {
			return err
		}
		if err := r.happen(ctx, e, rng); err != nil {
			return fmt.Errorf("fault %s: %w", e.Fault.Name, err)
		}
	}
	return nil
}

// happen has a fault happen, and be mended.
func (r *run) happen(ctx context.Context, e Event, rng *rand.Rand) error {
	h := Happened{Fault: e.Fault.Name, Planned: e.Fault.Planned, Sudden: e.Fault.Sudden, Times: e.Fault.Times, Begin: time.Now()}
	h.shown = h.Begin.Add(e.Fault.Shows)
	mend, err := e.Fault.Break(ctx, r.rig, rng)
	h.Broken = time.Now()
	if err == nil && mend != nil {
		select {
		case <-ctx.Done():
		case <-after(h.Begin.Add(e.Lasts)):
		}
		h.Mending = time.Now()
		err = mend(context.WithoutCancel(ctx))
	}
	h.End = time.Now()
	if err != nil {
		return err
	}
	h.shown = later(h.shown, h.End)
	r.report.Faults = append(r.report.Faults, h)
	fmt.Fprintf(r.Talk, "%s %3.0f%% %s for %v\n", r.Name, 100*r.lanes[0].share(), h.Fault, h.End.Sub(h.Begin).Round(time.Millisecond))
	return nil
}

const (
	calmLimit = 45 * time.Second       // a fault from which the output has not recovered by then counts as one that took so long
	calmAfter = 700 * time.Millisecond // the output flows so long again before the next fault
)

// calm waits until the output has recovered from the last fault, so that the next has the time to itself, and then for a moment
// at random. Dense scenarios do not wait.
func (r *run) calm(ctx context.Context, rng *rand.Rand) error {
	n := len(r.report.Faults)
	if n == 0 || r.Dense {
		return nil
	}
	last := &r.report.Faults[n-1]
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	from := last.shown.Add(calmAfter + time.Duration(rng.Int64N(int64(calmAfter))))
	for end := last.shown.Add(calmLimit); ; {
		all := time.Now()
		for _, l := range r.lanes {
			if l.waits.Load() {
				last.Unfed = true
				return nil
			}
			all = earlier(all, l.latest())
		}
		if all.After(from) {
			return nil
		}
		if time.Now().After(end) {
			last.Overdue = true
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// reach waits until a share of the load has been written.
func (r *run) reach(ctx context.Context, share float64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.lanes[0].share() < share {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// settle waits until everything has come and is committed and nothing more comes, or until nothing has moved for long.
func (r *run) settle(ctx context.Context, since time.Time) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	left, moved := int64(-1), time.Now()
	for ctx.Err() == nil {
		if now := r.left(ctx); now != left {
			left, moved = now, time.Now()
		}
		if left == 0 && time.Since(moved) > quiet || time.Since(moved) > stuckLimit {
			break
		}
		<-tick.C
	}
	r.report.Settled, r.report.CaughtUp = seconds(moved.Sub(since)), seconds(moved.Sub(since))
	if n := len(r.report.Faults); n > 0 {
		r.report.CaughtUp = seconds(moved.Sub(r.report.Faults[n-1].End))
	}
}

// left is how many records are still to come out, or else to be committed: the last of a load are copies, of which nothing comes.
func (r *run) left(ctx context.Context) (n int64) {
	for _, l := range r.lanes {
		n += l.missing()
	}
	if n > 0 {
		return n
	}
	for _, l := range r.lanes {
		lag, err := l.lag(ctx, r.admin)
		if err != nil {
			return -1 // asked again
		}
		n += lag
	}
	return n
}

// readToTheEnd waits until the readers have seen all that there is. Transactions that killed instances have left open end by
// their timeout.
func (r *run) readToTheEnd(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(behindLimit); ; <-tick.C {
		var unread int64
		var errs []error
		for _, l := range r.lanes {
			n, err := l.unread(ctx, r.admin)
			unread, errs = unread+n, append(errs, err)
		}
		err := errors.Join(errs...)
		if unread == 0 && err == nil {
			return
		}
		if ctx.Err() != nil || time.Now().After(end) {
			r.blame(fmt.Errorf("%d offsets of the output cannot be read %v after the drain (%w)", unread, behindLimit, err))
			return
		}
	}
}

// finish judges.
func (r *run) finish(begin time.Time) {
	r.measure()
	crowd(r.report.Faults)
	if r.soak {
		g := growth(r.rig.samples)
		r.report.Growth = &g
		for _, err := range g.trouble() {
			r.blame(err)
		}
	}
	for _, l := range r.lanes {
		r.report.Verdicts = append(r.report.Verdicts, l.judge.Verdict(excuses(r.report.Faults)))
		r.report.Records += l.total
		for at, n := range l.judge.Unexcused(excuses(r.report.Faults)) {
			r.report.Unexcused = append(r.report.Unexcused, Unexcused{l.name, at[0], at[1], n})
		}
	}
	r.report.RedisBound = r.redisBound()
	r.report.Seconds, r.report.SlowestDrain, r.report.PeakRSS = seconds(time.Since(begin)), seconds(r.rig.slowestDrain), r.rig.peakRSS
}

// silenceBefore is how long before the next fault a silence must have begun to belong to this one.
const silenceBefore = 1200 * time.Millisecond

// measure says how the output took each fault: how long one partition was silent, from the breaking and from the mending.
// What a fault does may begin only when a session has timed out.
func (r *run) measure() {
	faults := r.report.Faults
	for i := range faults {
		h := &faults[i]
		mended, to := h.Broken, h.End.Add(sessionTimeout+time.Second)
		if !h.Mending.IsZero() && !h.Sudden {
			mended = h.End
		}
		if next := i + 1; next < len(faults) {
			to = later(h.Begin, earlier(to, faults[next].Begin.Add(-silenceBefore)))
		}
		h.Recovered = h.Begin
		if w := r.lanes[0].waited; !w.IsZero() && h.End.Add(sessionTimeout).After(w) {
			h.Unfed = true
		}
		for _, l := range r.lanes {
			silence, over := l.judge.Flow().Silence(h.Begin, to)
			recovery, _ := l.judge.Flow().Silence(mended, later(to, mended))
			h.Silence, h.Recovery, h.Recovered = max(h.Silence, seconds(silence)), max(h.Recovery, seconds(recovery)), later(h.Recovered, over)
			h.Repeats += l.judge.Within(h.Begin, h.End.Add(aftermath))
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
