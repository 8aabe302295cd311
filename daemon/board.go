package daemon

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
)

// board keeps what the workers of one pipeline have told of themselves. Safe for concurrent use.
type board struct {
	mu        sync.Mutex
	workers   map[int]condition
	steps     []*Step
	byName    map[string]*Step
	holdings  map[string]map[int]pipeline.Holding // by step and worker
	standings map[stream.Partition]standing
	trouble   string // what makes it stand still, where no worker knows
}

type condition struct {
	state pipeline.State
	why   string
}

type standing struct {
	worker int
	pipeline.Standing
}

func newBoard(steps []config.Step) *board {
	b := &board{workers: map[int]condition{}, byName: map[string]*Step{}, holdings: map[string]map[int]pipeline.Holding{}, standings: map[stream.Partition]standing{}}
	b.list(steps, false)
	return b
}

func (b *board) list(steps []config.Step, branch bool) {
	for i := range steps {
		st := &steps[i]
		s := &Step{Name: st.Name, Verb: st.Verb(), Branch: branch}
		b.steps, b.byName[s.Name] = append(b.steps, s), s
		if st.Route != nil {
			for _, rule := range st.Route.Rules {
				b.list(rule.Steps, true)
			}
		}
	}
}

// set notes the state of a worker. A worker that starts has no partitions: where they stood is no longer known.
func (b *board) set(worker int, s pipeline.State, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.workers[worker] = condition{s, why}
	if s != pipeline.Starting {
		return
	}
	maps.DeleteFunc(b.standings, func(_ stream.Partition, at standing) bool { return at.worker == worker })
	for _, of := range b.holdings {
		delete(of, worker)
	}
}

// severity orders states: that of a pipeline is the gravest of its workers'.
var severity = []pipeline.State{pipeline.Running, pipeline.Starting, pipeline.Stopped, pipeline.Rebuilding, pipeline.Stalled, pipeline.Halted}

func (b *board) state() (pipeline.State, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gravest, why := -1, ""
	for _, w := range slices.Sorted(maps.Keys(b.workers)) {
		if s := slices.Index(severity, b.workers[w].state); s > gravest {
			gravest, why = s, b.workers[w].why
		}
	}
	if gravest < 0 {
		gravest = slices.Index(severity, pipeline.Starting)
	}
	if b.trouble != "" && gravest < slices.Index(severity, pipeline.Stalled) {
		return pipeline.Stalled, b.trouble
	}
	return severity[gravest], why
}

// stuck notes what makes the pipeline stand still without an error; "" is nothing.
func (b *board) stuck(trouble string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = trouble
}

// step changes what is known of a step, if there is one of that name.
func (b *board) step(name string, change func(*Step)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.byName[name]; s != nil {
		change(s)
	}
}

// work adds what a step did. Duplicates of a dedup step and late ones of a reorder step are told by these themselves.
func (b *board) work(w pipeline.Work) {
	b.step(w.Step, func(s *Step) {
		s.In += int64(w.In)
		s.Out += int64(w.Out)
		s.Filtered += int64(w.Settled[stream.Filtered])
		s.DeadLettered += int64(w.Settled[stream.DeadLettered])
		if s.Verb != "dedup" {
			s.Duplicates += int64(w.Settled[stream.Duplicate])
		}
		s.Seconds += w.Took.Seconds()
	})
}

func (b *board) holds(worker int, h pipeline.Holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holdings[h.Step] == nil {
		b.holdings[h.Step] = map[int]pipeline.Holding{}
	}
	b.holdings[h.Step][worker] = h
}

func (b *board) stands(worker int, s pipeline.Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.standings[s.Partition] = standing{worker, s}
}

// left forgets partitions that went to another member.
func (b *board) left(p stream.Partition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.standings, p)
}

func (b *board) stepsNow(now time.Time) []Step {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Step, len(b.steps))
	for i, s := range b.steps {
		list[i] = *s
		for _, h := range b.holdings[s.Name] {
			list[i].Held += int64(h.Inputs)
			if !h.Oldest.IsZero() {
				list[i].oldest = max(list[i].oldest, now.Sub(h.Oldest))
			}
		}
	}
	return list
}

func (b *board) standingsNow() map[stream.Partition]pipeline.Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := make(map[stream.Partition]pipeline.Standing, len(b.standings))
	for p, s := range b.standings {
		m[p] = s.Standing
	}
	return m
}

func lagSentence(ps []Partition) string {
	records, oldest := int64(0), 0.0
	for _, p := range ps {
		records += p.LagRecords
		oldest = max(oldest, p.LagSeconds)
	}
	return fmt.Sprintf("%s records, %s", humanize.Comma(records), time.Duration(oldest*float64(time.Second)).Round(100*time.Millisecond))
}

// silenceLimit is how long Kafka may say nothing before a running pipeline is not ready: fetches and heartbeats are
// answered several times a second.
const silenceLimit = 30 * time.Second

// pulse remembers how a dependency last answered. Safe for concurrent use.
type pulse struct {
	mu     sync.Mutex
	good   time.Time // last answer that was none of trouble
	asked  bool
	latest error // of the last answer
}

func (p *pulse) answered(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked, p.latest = true, err; err == nil {
		p.good = time.Now()
	}
}

// silence is how long ago it last answered well, or 0 if it never did.
func (p *pulse) silence(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.good.IsZero() {
		return 0
	}
	return now.Sub(p.good)
}

// sentence says ok, or what the trouble is.
func (p *pulse) sentence(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.asked:
		return "not asked yet"
	case p.latest != nil && p.good.IsZero():
		return fmt.Sprintf("no answer yet: %v", p.latest)
	case p.latest != nil:
		return fmt.Sprintf("no answer for %v: %v", now.Sub(p.good).Round(time.Second), p.latest)
	}
	return "ok"
}
