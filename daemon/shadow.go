package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// A shadow ends after so many records, or after so long.
const (
	shadowRecords = 1000
	shadowTime    = 30 * time.Second
	shadowPercent = 1 // beyond it the new plugin is refused
	shadowNamed   = 3 // how many records that differ are named
)

// trial is a new plugin that runs beside the one in charge, on a share of its records and without any effect.
type trial struct {
	share float64
	full  chan struct{} // closed when there is nothing more to find out

	mu       sync.Mutex
	guest    *runtime.Guest // nil once the trial is over
	compared int
	differ   int
	named    []string
}

// shadowed is a plugin's step, with a place for a trial.
type shadowed struct {
	pipeline.Step
	trial *atomic.Pointer[trial]
}

// Process implements pipeline.Step.
func (s *shadowed) Process(ctx context.Context, b *stream.Batch) error {
	t := s.trial.Load()
	if t == nil {
		return s.Step.Process(ctx, b)
	}
	copies := t.sample(b)
	if err := s.Step.Process(ctx, b); err != nil {
		return err
	}
	t.compare(ctx, copies, b)
	return nil
}

// takes says whether a record is of the share: always the same one.
func (t *trial) takes(c stream.Coordinate) bool {
	const golden, steps = 0x9e3779b97f4a7c15, 1 << 20
	return float64((uint64(c.Offset)+uint64(c.ID)<<40)*golden>>44) < t.share*steps
}

func (t *trial) sample(b *stream.Batch) *stream.Batch {
	copies := &stream.Batch{}
	for _, r := range b.Records {
		if n := len(copies.Records); n >= shadowRecords && copies.Records[n-1].Origin != r.Origin {
			break // there is enough in this batch
		}
		if t.takes(r.Origin) {
			r.Family = nil // the account is that of the step in charge
			copies.Records = append(copies.Records, r)
		}
	}
	return copies
}

// compare runs the new plugin and counts the records of which it makes something else. A worker that finds another one at
// it does not wait.
func (t *trial) compare(ctx context.Context, copies, b *stream.Batch) {
	if len(copies.Records) == 0 || !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	if t.guest == nil || t.compared >= shadowRecords {
		return
	}
	inputs := t.outcomes(copies)
	var got map[stream.Coordinate]uint64
	if t.guest.Process(ctx, copies) == nil { // else it is held to be broken, and all of it differs
		got = t.outcomes(copies)
	}
	want := t.outcomes(b)
	for c := range inputs {
		if t.compared++; got == nil || got[c] != want[c] {
			if t.differ++; len(t.named) < shadowNamed {
				t.named = append(t.named, c.String())
			}
		}
	}
	if t.compared >= shadowRecords {
		close(t.full)
	}
}

// outcomes are digests of what became of the records of the share, by where they were read.
func (t *trial) outcomes(b *stream.Batch) map[stream.Coordinate]uint64 {
	m := map[stream.Coordinate]uint64{}
	for i := range b.Records {
		if r := &b.Records[i]; t.takes(r.Origin) {
			m[r.Origin] = outcome(m[r.Origin], r)
		}
	}
	return m
}

// outcome adds a record to a digest: its fate, and all of it that goes on.
func outcome(before uint64, r *stream.Record) uint64 {
	h := fnv.New64a()
	number := func(n uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	text := func(b []byte) {
		if number(uint64(len(b))); b == nil {
			number(1)
		}
		_, _ = h.Write(b)
	}
	number(before)
	number(uint64(r.Fate))
	if r.Cause != nil {
		text([]byte(r.Cause.Reason))
	}
	if r.Fate == stream.Flowing {
		number(uint64(r.Sink))
		number(uint64(r.Timestamp))
		text(r.Key)
		text(r.Value)
		for _, header := range r.Headers {
			text([]byte(header.Key))
			text(header.Value)
		}
	}
	return h.Sum64()
}

// end closes the instance, and tells what was found.
func (t *trial) end(ctx context.Context, step string) (note string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err = t.guest.Close(ctx)
	t.guest = nil
	note = fmt.Sprintf("shadow of %s: %d records compared, %d differ", step, t.compared, t.differ)
	if len(t.named) > 0 {
		note += ", first " + strings.Join(t.named, ", ")
	}
	if t.differ*100 > t.compared*shadowPercent {
		err = errors.Join(err, fmt.Errorf("%s, more than %d %%; say streamproc reload --now if that is wanted", note, shadowPercent))
	}
	return note, err
}

// shadow runs the plugins of a generation that are new, and have a shadow, beside those in charge.
func (m *move) shadow(ctx context.Context) error {
	was := m.old.built.Load()
	for _, use := range usesOf(m.next.cfg.Steps) {
		step := m.next.names[use]
		if use.Shadow == 0 || m.next.plugins[use].Digest() == was.digests()[step] && sameUse(was, step, use) {
			continue
		}
		guest, err := m.next.plugins[use].NewGuest(ctx, modeOf(m.next.cfg.Steps, use), step, runtime.Events{})
		if err != nil {
			return err
		}
		t := &trial{share: use.Shadow, guest: guest, full: make(chan struct{})}
		was.trials[step].Store(t)
		select {
		case <-t.full:
		case <-time.After(shadowTime):
		case <-m.old.done:
		}
		was.trials[step].Store(nil)
		note, err := t.end(ctx, step)
		if err != nil {
			return err
		}
		m.Notes = append(m.Notes, note)
	}
	return nil
}

func sameUse(b *builder, step string, use *config.PluginUse) bool {
	for old, name := range b.names {
		if name == step {
			return reflect.DeepEqual(old, use)
		}
	}
	return false
}

// modeOf is what the step of a plugin wants of it.
func modeOf(steps []config.Step, use *config.PluginUse) runtime.Mode {
	for i := range steps {
		if f := steps[i].Filter; f != nil && f.Plugin == use {
			return runtime.Filter
		}
		if steps[i].Route != nil {
			for _, rule := range steps[i].Route.Rules {
				if modeOf(rule.Steps, use) == runtime.Filter {
					return runtime.Filter
				}
			}
		}
	}
	return runtime.Transform
}
