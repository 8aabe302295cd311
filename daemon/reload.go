package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/runtime"
)

// ReloadOptions are what an operator decides.
type ReloadOptions struct {
	Yes bool // a step with state may begin with another memory
	Now bool // new plugins are taken without running beside the old ones first
}

var (
	errNotRunning = errors.New("the pipelines are not running, or are being drained")
	errNothing    = errors.New("there is nothing to go back to: nothing was reloaded since the start")
)

// Reload takes up the configuration that read returns. First everything is read, checked, compiled and tried, and nothing
// has changed yet; an error up to there leaves all as it is. Then the pipelines follow, each as little disturbed as its
// changes allow. It is the one way to change what runs, and goes to its end also if ctx ends.
func (d *Daemon) Reload(ctx context.Context, read func() (*config.Config, error), o ReloadOptions) ([]Change, error) {
	return d.reload(ctx, o, func(ctx context.Context) ([]*builder, error) {
		cfg, err := read()
		if err != nil {
			return nil, err
		}
		return d.load(ctx, cfg)
	})
}

// Rollback goes back to what ran before the last reload, with the plugins as they were. Another one goes forth again.
func (d *Daemon) Rollback(ctx context.Context, o ReloadOptions) ([]Change, error) {
	return d.reload(ctx, o, func(context.Context) ([]*builder, error) {
		if d.previous == nil {
			return nil, errNothing
		}
		return d.previous, nil
	})
}

func (d *Daemon) reload(ctx context.Context, o ReloadOptions, next func(context.Context) ([]*builder, error)) ([]Change, error) {
	if !d.enter(ctx) {
		return nil, errNotRunning
	}
	defer d.leave()
	d.reloading.Lock()
	defer d.reloading.Unlock()
	ctx = context.WithoutCancel(ctx)
	changes, err := d.follow(ctx, o, next)
	d.metrics.Reloaded(err)
	if err != nil {
		d.log.Error("the reload was refused, the last good configuration runs on", "error", err)
	}
	for _, c := range changes {
		d.log.Info("reload", "pipeline", c.Pipeline, "what", string(c.What), "why", c.Why, "notes", c.Notes)
	}
	return changes, err
}

// move is what is to be done with one pipeline.
type move struct {
	Change
	old  *running // nil: there was none
	next *builder // nil: there is none any more
}

func (d *Daemon) follow(ctx context.Context, o ReloadOptions, next func(context.Context) ([]*builder, error)) ([]Change, error) {
	built, err := next(ctx)
	if err != nil {
		return nil, errors.Join(err, d.forget(ctx, nil, nil)) // stores may have been opened
	}
	was := d.generations()
	moves := d.plan(built)
	if err := d.try(ctx, moves, o); err != nil {
		return changesOf(moves), errors.Join(err, d.forget(ctx, built, was))
	}
	err = d.carryOut(ctx, moves)
	before := d.previous
	if slices.ContainsFunc(moves, func(m *move) bool { return m.What != Unchanged }) {
		d.previous = was
	}
	return changesOf(moves), errors.Join(err, d.forget(ctx, slices.Concat(before, built), was))
}

// generations are those that run.
func (d *Daemon) generations() (built []*builder) {
	for _, r := range d.running() {
		built = append(built, r.built.Load())
	}
	return built
}

// forget closes what is neither running nor kept for a rollback, and the stores that nothing uses any more.
func (d *Daemon) forget(ctx context.Context, built, was []*builder) error {
	kept := slices.Concat(d.generations(), d.previous)
	var errs []error
	for _, b := range slices.Concat(built, was) {
		if !slices.Contains(kept, b) {
			errs = append(errs, b.close(ctx))
		}
	}
	errs = append(errs, d.pool.keep(func(s *store) bool {
		return slices.ContainsFunc(kept, func(b *builder) bool { return b.uses(s) })
	}))
	return errors.Join(errs...)
}

func (b *builder) uses(s *store) bool { return slices.Contains(b.redis(), s) }

// plan finds what is to be done with each pipeline, in the order of the new configuration; those that are gone come last.
func (d *Daemon) plan(built []*builder) (moves []*move) {
	old := map[string]*running{}
	all := d.running()
	for _, r := range all {
		old[r.cfg.Name] = r
	}
	for _, b := range built {
		m := &move{old: old[b.cfg.Name], next: b, Change: Change{Pipeline: b.cfg.Name, What: Started}}
		if m.old != nil {
			m.Change = compare(m.old.built.Load(), b)
			m.ended()
		}
		delete(old, b.cfg.Name)
		moves = append(moves, m)
	}
	for _, r := range all {
		if old[r.cfg.Name] != nil {
			moves = append(moves, &move{old: r, Change: Change{Pipeline: r.cfg.Name, What: Drained, Why: "it is not configured any more; its offsets and its state stay"}})
		}
	}
	return moves
}

// ended sees to it that a pipeline that has halted is started again if something of it has changed.
func (m *move) ended() {
	select {
	case <-m.old.done:
	default:
		return
	}
	if m.What == Unchanged {
		m.Notes = append(m.Notes, "it has ended, and stays so until something of it changes, or the process is started again")
		return
	}
	m.What = Restarted
}

// try does all that can fail before anything changes.
func (d *Daemon) try(ctx context.Context, moves []*move, o ReloadOptions) error {
	var errs []error
	if lost := forgotten(moves); len(lost) > 0 && !o.Yes {
		for _, m := range moves {
			if why := lost[whole(m)]; why != "" {
				m.What, m.Why, m.Notes = Refused, why, nil
				errs = append(errs, fmt.Errorf("pipeline %s: %s", m.Pipeline, why))
			}
		}
	}
	for _, m := range moves {
		if m.next == nil || m.What == Unchanged || m.What == Refused {
			continue
		}
		if err := tryOne(ctx, m, o); err != nil {
			m.What, m.Why, m.Notes = Refused, err.Error(), nil
			if placed := config.Found(err); len(placed) > 0 {
				m.Why = placed[0].Message // in a table there is no room for the line
			}
			errs = append(errs, about(m.Pipeline, err))
		}
	}
	if len(errs) > 0 {
		for _, m := range moves {
			if m.What != Refused {
				m.What, m.Why, m.Notes = Unchanged, "", nil
			}
		}
	}
	return errors.Join(errs...)
}

func tryOne(ctx context.Context, m *move, o ReloadOptions) error {
	if err := m.next.probe(ctx); err != nil {
		return err
	}
	if m.What == Swapped {
		if o.Now {
			return nil
		}
		return m.shadow(ctx)
	}
	if _, err := m.next.inspect(ctx); err != nil || m.What != Restarted {
		return err // one that is new disturbs nobody while it waits for its topics
	}
	return errors.Join(m.next.check(ctx).Errors...)
}

// Probe makes an instance of each plugin, and ends it: what a pipeline would meet when it starts.
func (d *Daemon) Probe(ctx context.Context) error {
	var errs []error
	for _, r := range d.running() {
		if err := r.built.Load().probe(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// probe makes an instance of each plugin, and ends it.
func (b *builder) probe(ctx context.Context) error {
	for i := range b.cfg.Steps {
		if err := b.probeStep(ctx, &b.cfg.Steps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) probeStep(ctx context.Context, st *config.Step) error {
	mode := runtime.Transform
	if st.Filter != nil {
		mode = runtime.Filter
	}
	for _, use := range usesOf([]config.Step{*st}) {
		if st.Route != nil {
			continue
		}
		g, err := b.plugins[use].NewGuest(ctx, mode, st.Name, runtime.Events{})
		if err == nil {
			err = g.Close(ctx)
		}
		if err != nil {
			return b.wrong(use, st.Name, err)
		}
	}
	if st.Route == nil {
		return nil
	}
	for _, rule := range st.Route.Rules {
		for i := range rule.Steps {
			if err := b.probeStep(ctx, &rule.Steps[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// carryOut does what was planned: first the swaps, which disturb nobody, then what is drained makes room for what starts.
func (d *Daemon) carryOut(ctx context.Context, moves []*move) error {
	var errs []error
	fresh := map[*move]*running{}
	for _, m := range moves {
		if m.What == Started || m.What == Restarted {
			r, err := d.prepare(ctx, m.next)
			if err != nil {
				return err
			}
			fresh[m] = r
		}
	}
	for _, m := range moves {
		if m.What == Swapped {
			if err := m.old.swap(ctx, m.next); err != nil {
				m.What, m.Why = Refused, err.Error()
				errs = append(errs, fmt.Errorf("pipeline %s: %w", m.Pipeline, err))
			}
		}
	}
	for _, m := range moves {
		if m.What == Restarted || m.What == Drained {
			m.old.drain(m.next)
		}
	}
	d.place(moves, fresh)
	return errors.Join(errs...)
}

// swap gives the workers a new generation.
func (r *running) swap(ctx context.Context, next *builder) error {
	next.observe, next.flow = r.observer, &r.spec.Events
	if err := r.spec.Replace(ctx, next.stages); err != nil {
		return err
	}
	r.goneIn(r.built.Swap(next), next)
	return nil
}

// drain ends the pipeline after its checkpoint.
func (r *running) drain(next *builder) {
	r.stop()
	<-r.done
	r.goneIn(r.built.Load(), next)
}

// goneIn tells which modules are not in use any more.
func (r *running) goneIn(was, is *builder) {
	for use, p := range was.plugins {
		if is == nil || is.digests()[was.names[use]] != p.Digest() {
			r.metrics.PluginGone(was.names[use], p.Name(), p.Digest())
		}
	}
}

// place puts what is new in its place and begins to run it.
func (d *Daemon) place(moves []*move, fresh map[*move]*running) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*running
	for _, m := range moves {
		r := fresh[m]
		switch {
		case m.next == nil:
			continue
		case r == nil:
			r = m.old
		default:
			if m.old != nil {
				r.spec.Ledger = m.old.spec.Ledger // the account goes on
			}
			d.launch(r)
		}
		list = append(list, r)
	}
	d.pipelines = list
}

func changesOf(moves []*move) (list []Change) {
	for _, m := range moves {
		list = append(list, m.Change)
	}
	return list
}
