package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/streamproc/streamproc/sim/judge"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	instances = 2
	faultyFor = 8 * time.Minute
	calmFor   = 10 * time.Minute // at most, for the rest to come out
	settled   = 2 * time.Second
)

// Options say what may be drawn.
type Options struct {
	Deliveries []string // delivery levels
	Only       string   // name of the only scenario; "": the seed takes one
	Dir        string   // for the files of a run
}

// run is one simulation under way.
type run struct {
	*world
	scenario  *scenario
	set       settings
	feed      *producer
	instances []*instance
	seen      []judge.Seen
	dead      []judge.Dead
}

// Run simulates the world that the seed describes. It must be called in a bubble of testing/synctest.
func Run(seed uint64, o Options) (*judge.Result, error) {
	w, err := newWorld(seed, map[string]int32{inTopic: partitions, outTopic: 2, deadTopic: 1})
	if err != nil {
		return nil, err
	}
	defer w.close()
	r := &run{world: w, scenario: choose(seed, o.Only)}
	if r.scenario == nil {
		return nil, fmt.Errorf("there is no scenario %q", o.Only)
	}
	w.plan.steady = r.scenario.promise.Gapless
	dice := w.plan.die("settings")
	r.set = drawSettings(dice, o.Deliveries)
	w.plan.mood = drawMood(dice)
	cfg, err := r.scenario.load(o.Dir, seed, r.set)
	if err != nil {
		return nil, err
	}
	r.feed = &producer{w: w, r: w.plan.die("feed"), feed: r.scenario.feed}
	for i := range instances {
		r.instances = append(r.instances, &instance{w: w, cfg: cfg, slot: i, r: w.plan.die(fmt.Sprint("lives ", i))})
	}
	recovery, err := r.live()
	if err != nil {
		return nil, err
	}
	return r.judge(seed, recovery, o)
}

func choose(seed uint64, only string) *scenario {
	for i := range scenarios {
		if scenarios[i].name == only {
			return &scenarios[i]
		}
	}
	if only != "" {
		return nil
	}
	return &scenarios[seed%uint64(len(scenarios))]
}

// live lets the world go its way: first with faults, then without, until everything is committed or time is up.
func (r *run) live() (recovery time.Duration, err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	faults, calm := context.WithTimeout(ctx, faultyFor)
	defer calm()
	var wg, reader sync.WaitGroup
	var mu sync.Mutex
	start := func(f func() error) {
		wg.Go(func() {
			if e := f(); e != nil {
				mu.Lock()
				defer mu.Unlock()
				err = errors.Join(err, e)
			}
		})
	}
	for _, i := range r.instances {
		start(func() error { return i.run(ctx) })
	}
	ended := make(chan struct{})
	var unread error
	reader.Go(func() { unread = r.read(ended) })
	wg.Go(func() { r.watch(ctx, r.scenario.groups()...) })
	for _, g := range r.scenario.groups() {
		start(func() error { return newJanitor(r.world, g).run(ctx) })
	}
	if r.plan.mood != gentle {
		start(func() error { return (&storm{w: r.world, r: r.plan.die("storm")}).run(faults) })
	}
	fed := make(chan struct{})
	start(func() error {
		defer close(fed)
		return r.feed.run(ctx, faultyFor)
	})
	<-faults.Done()
	<-fed
	for _, i := range r.instances {
		i.becalm()
	}
	r.trace.add("world", "CALM")
	recovery = r.await(r.end())
	stop()
	wg.Wait()
	close(ended)
	reader.Wait()
	return recovery, errors.Join(err, unread)
}

// end is when the last fault is over: a host may still be frozen.
func (r *run) end() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := time.Now()
	for _, t := range r.troubles {
		if t.To.After(end) {
			end = t.To
		}
	}
	return end
}

// await waits until all that was sent is committed, or time is up.
func (r *run) await(since time.Time) time.Duration {
	for time.Since(since) < calmFor && !r.done() {
		time.Sleep(settled)
	}
	took := max(0, time.Since(since))
	time.Sleep(settled)
	return took
}

// done says that all that was sent is committed, by every part of the pipeline.
func (r *run) done() bool {
	ends := map[int32]int64{}
	for _, s := range r.feed.sent {
		ends[s.Partition] = max(ends[s.Partition], s.Offset+1)
	}
	if !r.committed(r.scenario.name, inTopic, ends) {
		return false
	}
	if !r.scenario.promise.Global {
		return true
	}
	clear(ends)
	for _, p := range r.kafka.PartitionInfos(r.scenario.name + hop) {
		ends[p.Partition] = p.HighWatermark
	}
	return r.committed(r.scenario.name+hop, r.scenario.name+hop, ends)
}

func (r *run) committed(group, topic string, ends map[int32]int64) bool {
	info := r.kafka.GroupInfo(group)
	if info == nil {
		return false
	}
	for p, end := range ends {
		if info.Commits[topic][p].Offset < end {
			return false
		}
	}
	return true
}

// judge collects the evidence and has it weighed.
func (r *run) judge(seed uint64, recovery time.Duration, o Options) (*judge.Result, error) {
	c := judge.Case{Promise: r.scenario.promise, Sent: r.feed.sent, Seen: r.seen, Dead: r.dead, Commits: r.commits[r.scenario.name], Troubles: r.troubles}
	c.Promise.Once = r.set.delivery == "exactly_once"
	c.Promise.Settle, c.Open = settle, !r.done()
	res := &judge.Result{Seed: seed, Scenario: r.scenario.name, Delivery: r.set.delivery, Records: len(c.Sent), Verdict: judge.Judge(c),
		Mood: r.plan.mood.String(), Faults: r.tally.Faults, Halts: r.tally.Halts, Repairs: r.tally.Repairs, Recovery: recovery}
	if r.scenario.promise.Global {
		second := judge.Judge(judge.Case{Commits: r.commits[r.scenario.name+hop]})
		res.Verdict.Backwards += second.Backwards
		res.Verdict.Findings = append(res.Verdict.Findings, second.Findings...)
	}
	if r.plan.mood != wild {
		res.Unfounded = res.Repairs
	}
	if !res.Failed() && res.Verdict.Undelivered == 0 {
		return res, nil
	}
	return res, r.write(res, &c, o.Dir)
}

// lastRecord is how long after the end of all instances a record may still show: a transaction may have to time out.
const lastRecord = 15 * time.Second

// read takes in the outputs and the dead letters as they come, as a consumer at read_committed sees them.
func (r *run) read(ended <-chan struct{}) error {
	cl, err := r.client(kgo.ConsumeTopics(outTopic, deadTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for last := false; ; {
		ctx, cancel := context.WithTimeout(context.Background(), lastRecord)
		fetches := cl.PollFetches(ctx)
		cancel()
		fetches.EachRecord(func(k *kgo.Record) {
			if d, ok := deadOf(k); k.Topic == deadTopic && ok {
				r.dead = append(r.dead, d)
			} else if k.Topic == outTopic {
				r.seen = append(r.seen, seenOf(k))
			}
		})
		if last && fetches.NumRecords() == 0 {
			return nil
		}
		select {
		case <-ended:
			last = true
		default:
		}
	}
}

var number = regexp.MustCompile(`"n":(\d+)`)

func seenOf(k *kgo.Record) judge.Seen {
	s := judge.Seen{Number: -1, Partition: k.Partition, Offset: k.Offset, At: time.Now(), Key: string(k.Key), Value: string(k.Value)}
	if m := number.FindStringSubmatch(s.Value); m != nil {
		s.Number, _ = strconv.Atoi(m[1])
	}
	return s
}

// deadOf reads a dead letter of the input, and says whether it is one.
func deadOf(k *kgo.Record) (d judge.Dead, ok bool) {
	for _, h := range k.Headers {
		switch h.Key {
		case "sp-origin":
			n, _ := fmt.Sscanf(string(h.Value), inTopic+"/%d@%d", &d.Partition, &d.Offset)
			ok = n == 2
		case "sp-reason":
			d.Reason = string(h.Value)
		}
	}
	return d, ok
}

// write keeps everything about a run that failed.
func (r *run) write(res *judge.Result, c *judge.Case, dir string) error {
	f, err := os.Create(fmt.Sprintf("%s/seed-%d.trace", dir, res.Seed))
	if err != nil {
		return err
	}
	defer f.Close()
	res.Trace = f.Name()
	fmt.Fprintf(f, "seed %d, scenario %s, mood %s, %+v\n", res.Seed, res.Scenario, res.Mood, r.set)
	for _, line := range res.Verdict.Findings {
		fmt.Fprintln(f, line)
	}
	for _, line := range res.Halts {
		fmt.Fprintln(f, "HALTED:", line)
	}
	fmt.Fprintln(f, "\n# What happened")
	if err := r.trace.write(f); err != nil {
		return err
	}
	fmt.Fprintln(f, "\n# The outputs with all that was aborted, and the markers")
	if err := r.raw(f); err != nil {
		return err
	}
	fmt.Fprintln(f, "\n# The evidence")
	enc := json.NewEncoder(f)
	return errors.Join(each(enc, "sent", c.Sent), each(enc, "seen", c.Seen), each(enc, "dead", c.Dead), each(enc, "commit", c.Commits))
}

func each[T any](enc *json.Encoder, name string, all []T) error {
	for _, v := range all {
		if err := enc.Encode(map[string]T{name: v}); err != nil {
			return err
		}
	}
	return nil
}

// raw writes what the output topics hold, markers included.
func (r *run) raw(w io.Writer) error {
	cl, err := r.client(kgo.ConsumeTopics(outTopic, deadTopic), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), settled)
		fetches := cl.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			return nil
		}
		fetches.EachRecord(func(k *kgo.Record) {
			fmt.Fprintf(w, "%s/%d@%d producer %d epoch %d control %v: %x %s\n", k.Topic, k.Partition, k.Offset, k.ProducerID, k.ProducerEpoch, k.Attrs.IsControl(), k.Key, k.Value)
		})
	}
}
