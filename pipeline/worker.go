package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/streamproc/streamproc/stream"
)

const (
	idlePoll      = 200 * time.Millisecond // how long a poll waits when nothing is to be committed; also the beat of Tick
	stallRetry    = 100 * time.Millisecond // how often a stalled worker asks for its dependency
	commitTimeout = 15 * time.Second       // flush and commit, longer than brokers take to replace a dead one (9 to 12 s): past it the worker is rebuilt
	rebuildMin    = 50 * time.Millisecond  // first wait before a new membership; it doubles up to rebuildMax
	rebuildMax    = 5 * time.Second
)

// Worker runs a pipeline for the partitions that its consumer group gives it: one goroutine in charge, from poll to commit.
type Worker struct {
	spec    *Spec
	number  int
	stages  []Stage
	release func() // lets go of what they hold
	post    *post

	// of one membership
	client Client
	open   map[stream.Partition]*partition

	// of one checkpoint
	batch   stream.Batch
	out     []stream.Record // for the sinks, gathered over one batch
	outputs []output        // by sink number
	last    *partition      // of the record that was accounted for last
	touched map[stream.Partition]bool
	begun   time.Time // of the checkpoint; zero: nothing to commit yet
	good    bool      // a checkpoint of this membership has committed
	rest    time.Time // before it nothing is polled: the pace is kept
	state   State
}

// partition is what the worker knows about one of its partitions.
type partition struct {
	stream.Partition
	next        int64 // next offset to poll
	floor, head int64 // of the last commit
	last        int64 // timestamp of the last record polled
	skips       stream.Skips

	// of one checkpoint
	fates fates
	first int64 // timestamp of the first record polled
}

// output is what one checkpoint has written to one sink, in keys and values.
type output struct{ records, bytes int64 }

// newWorker makes worker number of a pipeline, with its stages.
func newWorker(ctx context.Context, spec *Spec, number int, build Build) (*Worker, error) {
	stages, release, err := build(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("building worker %d of pipeline %s: %w", number, spec.Name, err)
	}
	return &Worker{spec: spec, number: number, stages: stages, release: release, post: &post{make(chan *set), make(chan struct{})},
		touched: map[stream.Partition]bool{}, outputs: make([]output, len(spec.Outputs)+1)}, nil
}

// run lives through memberships until ctx ends, which drains it, or the pipeline has to halt.
func (w *Worker) run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = rebuildMin, rebuildMax
	for ctx.Err() == nil {
		w.say(Starting, "")
		err := w.membership(ctx)
		if err == nil || final(err) {
			return err
		}
		if w.good {
			wait.Reset()
		}
		w.say(Rebuilding, err.Error())
		w.wait(ctx, wait.NextBackOff())
	}
	return nil
}

// wait lets time pass between two memberships.
func (w *Worker) wait(ctx context.Context, d time.Duration) {
	for over := time.After(d); ; {
		select {
		case <-ctx.Done():
			return
		case next := <-w.post.next:
			w.adopt(next)
		case <-over:
			return
		}
	}
}

// membership runs one client from dial to close. Whatever ends a checkpoint other than its commit ends the membership,
// and with it all partition state: there is one recovery path.
func (w *Worker) membership(ctx context.Context) error {
	client, err := w.spec.Dial(w.number)
	if err != nil {
		return err
	}
	w.client, w.open, w.good = client, map[stream.Partition]*partition{}, false
	defer client.Close()
	defer w.forget()
	err = w.loop(ctx)
	if errors.Is(err, stream.ErrUnavailable) && !final(err) {
		w.stall(ctx, err)
	}
	return err
}

// final says that an error ends the pipeline: an operator, or whoever runs the process, must decide.
func final(err error) bool {
	return errors.Is(err, stream.ErrHalt) || errors.Is(err, stream.ErrFailed)
}

// loop polls, processes and commits until ctx ends or something does not commit.
func (w *Worker) loop(ctx context.Context) error {
	w.restart()
	for {
		select {
		case r := <-w.client.Revoking():
			if err := w.revoke(ctx, r); err != nil {
				return err
			}
			continue
		case next := <-w.post.next:
			if err := w.renew(ctx, next); err != nil {
				return err
			}
			continue
		default:
		}
		if ctx.Err() != nil {
			return w.checkpoint(ctx)
		}
		if err := w.step(ctx); err != nil {
			return err
		}
		if !w.begun.IsZero() && time.Since(w.begun) >= w.spec.CommitInterval {
			if err := w.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
}

// step is one turn: wait for room, poll, run the stages, let time pass for those that watch it, write.
func (w *Worker) step(ctx context.Context) error {
	until := time.Now().Add(idlePoll)
	if !w.begun.IsZero() {
		until = w.begun.Add(w.spec.CommitInterval)
		if soon := time.Now().Add(idlePoll); until.After(soon) {
			until = soon
		}
	}
	px, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if w.client.Full() { // the sinks are behind: poll nothing more, but go on committing
		select {
		case <-px.Done():
		case <-w.client.Room():
		}
		return nil
	}
	w.batch.Reset()
	if time.Now().Before(w.rest) {
		select {
		case <-px.Done():
		case <-time.After(time.Until(w.rest)):
		}
		return w.tick(context.WithoutCancel(ctx))
	}
	if err := w.client.Poll(px, &w.batch); err != nil {
		return err
	}
	w.pace(len(w.batch.Records))
	// From here on the turn is finished even when ctx ends meanwhile: a drain commits what it has.
	ctx = context.WithoutCancel(ctx)
	if len(w.batch.Spans) > 0 {
		if err := w.process(ctx); err != nil {
			return err
		}
	}
	return w.tick(ctx)
}

// pace makes up for records that came faster than they may: the worker rests until they are due.
func (w *Worker) pace(records int) {
	if w.spec.Pace == nil {
		return
	}
	now := time.Now()
	for ; records > 0; records -= w.spec.Pace.Burst() { // more than a burst cannot be reserved at once
		w.rest = now.Add(w.spec.Pace.ReserveN(now, min(records, w.spec.Pace.Burst())).DelayFrom(now))
	}
}

// process runs a polled batch through the stages and writes what comes out.
func (w *Worker) process(ctx context.Context) error {
	w.say(Running, "")
	b := &w.batch
	at := 0
	for _, s := range b.Spans {
		p := w.open[s.Partition]
		if p == nil {
			var err error
			if p, err = w.take(ctx, s.Partition); err != nil {
				return err
			}
		}
		p.took(s, b.Records[at:at+s.Records])
		at += s.Records
		w.touch(s.Partition)
	}
	w.refuse(b)
	if err := run(ctx, w.stages, b, w.settle, &w.spec.Events); err != nil {
		return err
	}
	w.deliver(b)
	return nil
}

// took notes what was polled.
func (p *partition) took(s stream.Span, records []stream.Record) {
	p.next = s.To
	p.fates.read += int64(len(records))
	if len(records) == 0 {
		return
	}
	if p.first == 0 {
		p.first = records[0].Timestamp
	}
	p.last = records[len(records)-1].Timestamp
}

// refuse sends what is over a limit to the dead letters, before any step sees it.
func (w *Worker) refuse(b *stream.Batch) {
	for i := range b.Records {
		if cause := w.spec.Limits.exceeded(&b.Records[i]); cause != nil {
			b.Fail(i, cause)
		}
	}
	sweep(b, w.settle)
}

// take opens the state of a partition seen for the first time in this membership.
func (w *Worker) take(ctx context.Context, p stream.Partition) (*partition, error) {
	a := w.client.Assignment(p)
	for i := range w.stages {
		s, ok := as[Stateful](w.stages[i].Step)
		if !ok {
			continue
		}
		a.History = &history{w: w, p: p, step: i}
		if err := s.Open(ctx, a); err != nil {
			return nil, fmt.Errorf("opening the state of step %s for %v: %w", w.stages[i].Name, p, err)
		}
	}
	at := &partition{Partition: p, next: a.Position, floor: a.Position, head: max(a.Commit.Head, a.Commit.Floor, 0), skips: a.Commit.Skips}
	w.open[p] = at
	return at, nil
}

// tick lets the stages that watch time release what is due, and runs it through the stages after them.
func (w *Worker) tick(ctx context.Context) error {
	for i := range w.stages {
		t, ok := as[Ticker](w.stages[i].Step)
		if !ok {
			continue
		}
		w.batch.Reset()
		begin := time.Now()
		if err := t.Tick(ctx, &w.batch, w.spec.now(), w.client.CaughtUp); err != nil {
			return err
		}
		took := time.Since(begin)
		if len(w.batch.Records) == 0 {
			continue
		}
		for j := range w.batch.Records {
			w.touch(w.batch.Records[j].Origin.Partition)
		}
		w.spec.Events.step(w.stages[i].Name, 0, &w.batch, sweep(&w.batch, w.settle), took)
		if err := run(ctx, w.stages[i+1:], &w.batch, w.settle, &w.spec.Events); err != nil {
			return err
		}
		w.deliver(&w.batch)
	}
	return nil
}

// deliver hands the records that came through, and all that was settled on the way with an effect, to the sinks.
func (w *Worker) deliver(b *stream.Batch) {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Sink == stream.NoSink {
			r.Sink = w.spec.Sink
		}
		w.send(r)
	}
	w.client.Write(w.out)
	clear(w.out)
	w.out = w.out[:0]
}

// send gives a record that came through to its sink, or to the dead letters where it has no key for it.
func (w *Worker) send(r *stream.Record) {
	if !w.key(r) {
		w.settle(r)
		return
	}
	r.Fate = stream.Out
	w.account(r)
	w.emit(r)
}

// key gives a record the key that its sink wants, or makes it a dead letter.
func (w *Worker) key(r *stream.Record) bool {
	o := &w.spec.Outputs[r.Sink-1]
	if o.Key == nil {
		return true
	}
	key, err := o.Key(r)
	if err != nil {
		r.Cause, r.Fate = CauseOf("sink "+o.Name, err), stream.DeadLettered
		return false
	}
	r.Key = key
	return true
}

// emit queues a record for the sink that it names.
func (w *Worker) emit(r *stream.Record) {
	o := &w.outputs[r.Sink]
	o.records++
	o.bytes += int64(len(r.Key) + len(r.Value))
	w.out = append(w.out, *r)
}

// settle takes note of a record that has left the flow before its end. A duplicate or a late one may have a sink of its own.
func (w *Worker) settle(r *stream.Record) {
	if r.Fate == stream.DeadLettered {
		r.Fate = verdict(r)
	}
	aside := r.Sink != stream.NoSink && r.Cause == nil && (r.Fate == stream.Duplicate || r.Fate == stream.Late) && w.key(r)
	w.account(r)
	if r.Fate == stream.Replayed {
		return
	}
	if aside {
		w.emit(r)
	}
	if r.Cause != nil && w.spec.DeadLetters != stream.NoSink {
		w.bury(r)
	}
}

// account counts the fate of an input, once all its outputs have theirs.
func (w *Worker) account(r *stream.Record) {
	fate := r.Fate
	if r.Family != nil {
		var decided bool
		if fate, decided = r.Family.Settle(fate); !decided {
			return
		}
	}
	w.fatesOf(r.Origin.Partition).by[fate]++
}

// fatesOf is the account of a partition in this checkpoint. Records of one partition come one after the other.
func (w *Worker) fatesOf(p stream.Partition) *fates {
	if w.last == nil || w.last.Partition != p {
		w.last = w.open[p]
	}
	return &w.last.fates
}

// touch makes a partition part of the checkpoint, and begins the checkpoint if it is the first.
func (w *Worker) touch(p stream.Partition) {
	if w.begun.IsZero() {
		w.begun = time.Now()
	}
	w.touched[p] = true
}

// say tells a change of state.
func (w *Worker) say(s State, why string) {
	if w.state != s || why != "" {
		w.state = s
		w.spec.Events.state(w.number, s, why)
	}
}

// restart begins a new checkpoint.
func (w *Worker) restart() {
	w.begun = time.Time{}
	clear(w.touched)
	clear(w.outputs)
	for _, p := range w.open {
		p.fates, p.first = fates{}, 0
	}
}

// stall waits, with the membership kept, until the dependencies answer. Nothing of the checkpoint remains.
func (w *Worker) stall(ctx context.Context, why error) {
	w.say(Stalled, why.Error())
	w.client.Discard()
	for p := range w.touched {
		if at := w.open[p]; at != nil {
			at.next, at.last = at.floor, at.first // nothing of the checkpoint remains
			w.stands(p, at, false)
		}
	}
	w.forget()
	for {
		rx, cancel := context.WithTimeout(ctx, time.Second)
		err := w.spec.Ready(rx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case r := <-w.client.Revoking():
			r.Ended()
		case next := <-w.post.next: // it may be a plugin that is waited for
			w.adopt(next)
		case <-time.After(stallRetry):
		}
	}
}

// forget closes all partition state.
func (w *Worker) forget() {
	for p := range w.open {
		w.closePartition(p)
	}
	w.out = w.out[:0]
	w.batch.Reset()
}

func (w *Worker) closePartition(p stream.Partition) {
	for i := range w.stages {
		if s, ok := as[Stateful](w.stages[i].Step); ok {
			s.Close(p)
		}
	}
	w.spec.Ledger.leave(p)
	delete(w.open, p)
	w.last = nil
}

// as finds a power of a step, also behind its policy.
func as[T any](s Step) (T, bool) {
	if p, ok := s.(*Policy); ok {
		s = p.Step
	}
	t, ok := s.(T)
	return t, ok
}

func newNonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

const noWatermark = math.MinInt64
