package runtime

import (
	"context"
	"fmt"
	"math"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// Mode is what a step wants of its guest.
type Mode uint8

// The modes.
const (
	Filter    Mode = iota // keep or drop
	Transform             // none, one or many outputs for each input
)

// Guest is one instance of a plugin, owned by one worker: it is not safe for concurrent use. Process makes it a step of
// a pipeline. When a call fails, the instance is replaced, and the record that is to blame is found.
type Guest struct {
	mode   Mode
	step   string
	events Events

	current
	refused *Plugin // was to take the place of plugin, and did not start
	stack   [2]uint64
	memory  uint32
	lines   lines
	room    int64 // bytes that the outputs of a batch may take, beside what is for its inputs
	lives   int   // counts the memories, and the calls that left one in an unknown state

	// of the current call
	ctx                  context.Context
	calling              int // number of records
	now                  int64
	clock                uint64
	seed                 uint64
	hostCalls, wasiCalls int
	random, logged       int
	names                int // bytes of the names of headers
	reasons              map[int32]string
	words                []string // first lines written to file 2
	kv                   lookups

	// of the current batch; kept for the next
	todo      []int      // indices of the records to hand over
	projected projection // their fields
	results   []result   // by index in todo
	verdicts  []abi.Verdict
	outs      []stream.Record
	produced  int64  // bytes of outs, as the results have them
	bound     int64  // that produced may be
	bytes     []byte // block that outputs are copied into; what was handed out is not written again, for it may wait to be sent
}

// current is what a guest runs.
type current struct {
	plugin    *Plugin
	instance  instance
	session   Session // nil for a guest that speaks sp1
	fresh     bool    // the instance has not processed anything yet
	perRecord int64   // fuel that a record is likely to cost
	topic     string  // the last that was asked for, and its number
	topicID   uint16
	kept      any // what a session left for the next
	keptLife  int // the life in which the session's memory was kept, or 0
}

// result is what became of one record: its verdict, and its outputs in outs.
type result struct {
	verdict  abi.Verdict
	first, n int
	bytes    int64 // of the outputs
	cause    *stream.Cause
}

// NewGuest starts an instance for one worker.
func (p *Plugin) NewGuest(ctx context.Context, mode Mode, step string, events Events) (*Guest, error) {
	if err := p.suits(mode); err != nil {
		return nil, err
	}
	g := &Guest{current: current{plugin: p}, mode: mode, step: step, events: events, room: batchOutputBytes, lives: 1}
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	if !p.rt.retain(p.module) {
		return nil, fmt.Errorf("starting plugin %s: it was closed meanwhile", p.name)
	}
	return g, nil
}

// Process hands the flowing records of b to the plugin. It blocks while the guest runs. The records' new slices belong
// to the batch; those that pass keep their own.
func (g *Guest) Process(ctx context.Context, b *stream.Batch) error {
	if err := g.takeUp(ctx); err != nil {
		return err
	}
	if err := g.plugin.Ready(); err != nil {
		return err
	}
	if err := g.stand(ctx); err != nil {
		return err
	}
	g.gather(b)
	if err := g.prefetch(ctx, b); err != nil {
		return err
	}
	for lo := 0; lo < len(g.todo); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := g.chunk(b, lo)
		if err := g.run(ctx, b, lo, hi); err != nil {
			return err
		}
		lo = hi
	}
	g.judgePlugin()
	g.noteGrowth()
	g.settle(b)
	clear(g.outs)
	clear(g.results)
	return nil
}

// stand sees to an instance that can take a batch.
func (g *Guest) stand(ctx context.Context) error {
	switch {
	case g.instance.module.IsClosed(): // a fresh one did not start
		return g.anew(ctx)
	case g.instance.full:
		return g.recycle(ctx)
	}
	return nil
}

// Lives tells apart the memories that the guest has had, by numbers from 1: with the same one as before, it has been given
// each record since exactly once.
func (g *Guest) Lives() int { return g.lives }

// Forget begins with a fresh instance, or one that is as good.
func (g *Guest) Forget(ctx context.Context) error {
	g.lives++
	g.kept = nil
	return g.anew(ctx)
}

// gather lists the records to hand over: those still flowing, without tombstones for guests that could not tell them, and
// without those that have no fields where the guest wants some.
func (g *Guest) gather(b *stream.Batch) {
	g.todo, g.outs = g.todo[:0], g.outs[:0]
	g.produced, g.bound = 0, g.room
	g.projected.begin(g.instance.fields)
	g.now = math.MinInt64
	for i := range b.Records {
		r := &b.Records[i]
		if r.Fate != stream.Flowing || r.Value == nil && !g.takesTombstones() || !g.project(b, i) {
			continue
		}
		g.todo = append(g.todo, i)
		g.now = max(g.now, r.Timestamp)
		n, _ := size(r)
		g.bound += outputPerInput * n
	}
	if cap(g.results) < len(g.todo) {
		g.results = make([]result, len(g.todo))
	}
	g.results = g.results[:len(g.todo)]
	clear(g.results) // a batch that ended with an error has left some
}

// chunk returns the end of the longest run of records from lo that fits into one call.
func (g *Guest) chunk(b *stream.Batch, lo int) int {
	total, end := int64(0), min(len(g.todo), lo+g.most())
	for hi := lo; hi < end; hi++ {
		n, entries := g.handed(b, hi)
		if total += abi.InputLen(1, n, entries); total > batchLimitBytes && hi > lo {
			return hi
		}
	}
	return end
}

// size returns the bytes of a record's key, value and headers, and the number of its headers.
func size(r *stream.Record) (int64, int) {
	n := int64(len(r.Key)) + int64(len(r.Value))
	for i := range r.Headers {
		n += int64(len(r.Headers[i].Key)) + int64(len(r.Headers[i].Value))
	}
	return n, len(r.Headers)
}

// Close ends the instance, after telling it with sp_close.
func (g *Guest) Close(ctx context.Context) error {
	err := g.end(ctx)
	g.closeLog()
	return joinErrors(err, g.plugin.rt.release(ctx, g.plugin.module))
}

// end tells the instance that this is the end, and closes it. The telling is best effort: a plugin that fails on its way
// out has no records left to lose.
func (g *Guest) end(ctx context.Context) error {
	if g.instance.module.IsClosed() {
		return nil
	}
	g.begin(0)
	g.refillForStart()
	switch f := g.instance.closing; {
	case g.session != nil:
		_ = g.session.Close(g.context(ctx))
	case f != nil:
		_ = f.CallWithStack(g.context(ctx), g.stack[:])
	}
	return g.instance.module.Close(ctx)
}

// begin resets the budgets before a call for n records.
func (g *Guest) begin(n int) {
	g.calling = n
	g.hostCalls, g.wasiCalls, g.random, g.logged, g.names = 0, 0, 0, 0, 0
	g.kv.gets = 0
	clear(g.reasons)
}

// topicNumber returns the number of a topic for the guest; neighbours are mostly of one topic.
func (g *Guest) topicNumber(topic string) uint16 {
	if topic == g.topic && topic != "" {
		return g.topicID
	}
	id, ok := g.plugin.topics[topic]
	if !ok {
		id = abi.UnknownTopic
	}
	g.topic, g.topicID = topic, id
	return id
}

func (g *Guest) noteMemory(m api.Memory) {
	if n := m.Size(); n != g.memory {
		g.memory = n
		if g.events.Memory != nil {
			g.events.Memory(n)
		}
	}
}
