package enumerate

import (
	"flag"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamproc/streamproc/memstate"
	"github.com/streamproc/streamproc/sim/judge"
	"github.com/streamproc/streamproc/stream"
)

var every = flag.Bool("enumerate.every", false, "every pause with every kill; otherwise each of the two alone, and pairs for the shortest logs")

// logs are the inputs: key and sequence of each record, copies among them. Each is complete, so all must come out.
var logs = []string{"a0", "a0 a0", "a0 a1", "a1 a0", "a0 a1 a2", "a2 a1 a0", "a1 a0 a2", "a0 a0 a1", "a0 a1 a0", "a1 a0 a0", "a1 a0 a1", "a0 a0 a0",
	"a1 b0 a0", "a0 b0 a0"}

// systems are the pipelines, each at both levels of delivery.
func systems() (all []system) {
	for _, once := range []bool{false, true} {
		for _, s := range []system{{dedup: true}, {reorder: true}, {dedup: true, reorder: true}} {
			for _, shape := range []system{{batch: 1}, {batch: 3, eager: true}, {batch: 1, interval: 350 * time.Millisecond}} {
				s.once, s.batch, s.interval, s.eager = once, shape.batch, shape.interval, shape.eager && !once
				all = append(all, s)
			}
		}
	}
	return all
}

// try runs one schedule and returns the world as it ended.
func try(t *testing.T, s system, log string, plan schedule) (w *world) {
	synctest.Test(t, func(*testing.T) {
		w = &world{system: s, schedule: plan, mem: memstate.New(), commit: stream.Commit{Floor: -1, Watermark: math.MinInt64}}
		for i, r := range strings.Fields(log) {
			w.log = append(w.log, stream.Record{Key: []byte(r[:1]), Value: []byte(r[1:]), Timestamp: time.Now().UnixMilli(),
				Origin: stream.Coordinate{Partition: part, Offset: int64(i)}})
		}
		if !w.run() {
			t.Errorf("%+v, log %v, %+v: no progress, committed %d after %d calls", s, log, plan, w.commit.Floor, w.calls)
		}
	})
	return w
}

// weigh has the judge look at what came out.
func (w *world) weigh() judge.Verdict {
	c := judge.Case{Promise: judge.Promise{Once: w.once, Settle: time.Hour}, Troubles: []judge.Trouble{{}}}
	if w.dedup {
		c.Promise.Window = time.Hour
	}
	if w.reorder {
		c.Promise.Order, c.Promise.Gapless = judge.BySequence, true
	}
	for i, r := range w.log {
		n, _ := sequence(&r)
		c.Sent = append(c.Sent, judge.Sent{Number: i, Offset: int64(i), At: time.UnixMilli(r.Timestamp), Key: string(r.Key), ID: string(r.Key) + string(r.Value), Sequence: n, Value: string(r.Value)})
	}
	for i, r := range w.out {
		c.Seen = append(c.Seen, judge.Seen{Number: int(r.Origin.Offset), Offset: int64(i), Key: string(r.Key), Value: string(r.Value)})
	}
	for _, r := range w.dead {
		c.Dead = append(c.Dead, judge.Dead{Offset: r.Origin.Offset, Reason: "late"})
	}
	for _, f := range w.floors {
		c.Commits = append(c.Commits, judge.Commit{Offset: f})
	}
	return judge.Judge(c)
}

// count is how many schedules were tried, and how many of them had each fault fall due.
type count struct{ tried, killed, paused, failed, lost, wiped int }

func (c *count) check(t *testing.T, s system, log string, plan schedule) *world {
	plan = plan.orNever()
	w := try(t, s, log, plan)
	c.tried++
	for due, n := range map[int]*int{plan.kill: &c.killed, plan.pause: &c.paused, plan.fail: &c.failed, plan.lose: &c.lost, plan.wipe: &c.wiped} {
		if due < w.calls {
			*n++
		}
	}
	if w.mended > 0 && plan.wipe == never {
		t.Errorf("%+v, log %v, %+v: state was repaired, and none was lost", s, log, plan)
	}
	if v := w.weigh(); v.Failed() || v.Undelivered > 0 {
		t.Errorf("%+v, log %v, %+v: %v", s, log, plan, v.Findings)
	}
	return w
}

// none marks a fault that does not happen; a schedule is written with numbers from 1.
func (p schedule) orNever() schedule {
	for _, at := range []*int{&p.kill, &p.fail, &p.lose, &p.wipe, &p.pause} {
		if *at--; *at < 0 {
			*at = never
		}
	}
	return p
}

// TestEveryCrashPointIsSurvived tries, for every small log and pipeline, every place of one kill, one call that fails,
// one lost answer, one loss of all state, and one pause with every length, and every kill during every pause.
func TestEveryCrashPointIsSurvived(t *testing.T) {
	var c count
	for _, s := range systems() {
		for _, log := range logs {
			calls := c.check(t, s, log, schedule{}).calls
			c.alone(t, s, log, calls)
			if *every || len(log) < 8 && s.interval == 0 && s.batch == 1 {
				c.pairs(t, s, log, calls)
			}
			if t.Failed() {
				t.FailNow() // the first log says enough
			}
		}
	}
	t.Logf("%d schedules: %d with a kill, %d with a pause, %d with a failed call, %d with a lost answer, %d with all state lost", c.tried, c.killed, c.paused, c.failed, c.lost, c.wiped)
	if c.killed*c.paused*c.failed*c.lost*c.wiped == 0 {
		t.Error("one of the faults never happened")
	}
}

// alone tries each fault at each call by itself, and a loss of all state with a kill behind it.
func (c *count) alone(t *testing.T, s system, log string, calls int) {
	for at := 1; at <= calls; at++ {
		c.check(t, s, log, schedule{kill: at})
		c.check(t, s, log, schedule{fail: at})
		c.check(t, s, log, schedule{lose: at})
		c.check(t, s, log, schedule{wipe: at})
		for kill := at + 1; kill <= calls; kill++ {
			c.check(t, s, log, schedule{wipe: at, kill: kill})
		}
		for resume := 1; resume <= calls+1; resume++ {
			c.check(t, s, log, schedule{pause: at, resume: resume})
		}
	}
}

// pairs tries each kill with each pause.
func (c *count) pairs(t *testing.T, s system, log string, calls int) {
	for pause := 1; pause <= calls; pause++ {
		for resume := 1; resume <= calls+1; resume++ {
			for kill := 1; kill <= 2*calls; kill++ {
				c.check(t, s, log, schedule{pause: pause, resume: resume, kill: kill})
			}
		}
	}
}
