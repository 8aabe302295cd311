package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/metrics"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Options are what the command line decides.
type Options struct {
	Logger   *slog.Logger     // nil: slog.Default
	CacheDir string           // where compiled plugins are kept; "": in memory only
	Compiler []string         // a command that calls CompileModule, so that a module that is dear to compile can be given up
	Only     []string         // names of the pipelines to run; empty: all
	Now      func() time.Time // the clock by which reorder waits; nil: time.Now
	// Instance and what Slot gives for a pipeline's group name this process in its members of that group and in its transactional
	// ids. Together they are unique among the living, and the same again after a restart where that can be had. The slot is let
	// go of when the pipeline has ended. nil: Instance alone is unique.
	Instance string
	Slot     func(group string) (slot string, release func())

	// Two seams where a simulation stands between the engine and the world; nil in a real process.
	Dial   dialer                                              // makes the connections to Kafka and Redis
	Client func(worker int, c pipeline.Client) pipeline.Client // stands before each membership
}

// CompileModule is what the child process of Options.Compiler runs.
func CompileModule(ctx context.Context, args []string, module io.Reader, stderr io.Writer) int {
	return runtime.CompileModule(ctx, args, module, stderr)
}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// Daemon runs pipelines. Its methods are safe for concurrent use.
type Daemon struct {
	log     *slog.Logger
	options Options
	engine  *runtime.Runtime
	metrics *metrics.Registry

	reloading sync.Mutex // one at a time; guards pool and previous
	pool      *pool
	previous  []*builder // what Rollback goes back to; nil: there is nothing

	mu        sync.Mutex
	pipelines []*running
	ctx       context.Context // of Run; nil before
	end       context.CancelFunc
	begun     chan struct{} // closed when Run has begun
	busy      int           // pipelines and reloads that are not over
	over      chan struct{} // closed when nothing is busy any more
}

// running is one pipeline with what is known about it.
type running struct {
	*observer
	cfg   *config.Pipeline // as of its start: a new generation may differ from it in the steps without state
	spec  *pipeline.Spec
	built atomic.Pointer[builder] // the generation that runs
	name  string                  // of this process in its group; set before it lives

	stop context.CancelFunc
	done chan struct{} // closed when it has ended
	err  error         // why, once it has
}

// New builds the pipelines: plugins are compiled, nothing is connected yet.
func New(ctx context.Context, cfg *config.Config, o Options) (*Daemon, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	engine, err := runtime.New(ctx, runtime.Options{CacheDir: o.CacheDir, Compiler: o.Compiler, Logger: o.Logger, Dialects: Dialects()})
	if err != nil {
		return nil, err
	}
	d := &Daemon{log: o.Logger, options: o, engine: engine, begun: make(chan struct{}), over: make(chan struct{})}
	d.metrics = metrics.New(d.accounts)
	d.pool = &pool{metrics: d.metrics, dial: o.Dial}
	built, err := d.load(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	for _, b := range built {
		r, err := d.prepare(ctx, b)
		if err != nil {
			return nil, errors.Join(err, d.Close(ctx))
		}
		d.pipelines = append(d.pipelines, r)
	}
	d.metrics.Reloaded(nil)
	return d, nil
}

// load builds a generation of each pipeline that is to run, or of none, and then tells all that is wrong.
func (d *Daemon) load(ctx context.Context, cfg *config.Config) (built []*builder, err error) {
	var wrong []error
	for _, p := range cfg.Pipelines {
		if len(d.options.Only) > 0 && !slices.Contains(d.options.Only, p.Name) && !slices.Contains(d.options.Only, p.Of) {
			continue
		}
		b := &builder{whole: cfg, cfg: p, options: d.options, log: d.log.With("pipeline", p.Name), metrics: d.metrics, engine: d.engine, pool: d.pool,
			stores: map[*config.Redis]*store{}, lookups: map[*config.KV]lookup{},
			plugins: map[*config.PluginUse]*runtime.Plugin{}, numbers: map[*config.Sink]stream.Sink{}, names: map[*config.PluginUse]string{}, trials: map[string]*atomic.Pointer[trial]{}}
		if err := b.load(ctx); err != nil {
			wrong = append(wrong, err)
			continue
		}
		built = append(built, b)
	}
	if len(wrong) > 0 {
		return nil, once(append(wrong, closeAll(ctx, built))...)
	}
	if len(built) == 0 {
		return nil, fmt.Errorf("no pipeline is named %v", d.options.Only)
	}
	return built, nil
}

// once joins errors, and those that they join, without what was said already: a plugin that is wrong is so at each of its steps.
func once(errs ...error) error {
	said := map[string]bool{}
	var left []error
	var add func(errs []error)
	add = func(errs []error) {
		for _, err := range errs {
			if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // this one, not what it wraps
				add(joined.Unwrap())
			} else if err != nil && !said[err.Error()] {
				said[err.Error()] = true
				left = append(left, err)
			}
		}
	}
	add(errs)
	return errors.Join(left...)
}

func closeAll(ctx context.Context, built []*builder) error {
	var errs []error
	for _, b := range built {
		errs = append(errs, b.close(ctx))
	}
	return errors.Join(errs...)
}

// prepare makes a pipeline of a generation, ready to be launched.
func (d *Daemon) prepare(ctx context.Context, b *builder) (*running, error) {
	r := &running{observer: newObserver(b.cfg, b.log, d.metrics), cfg: b.cfg, done: make(chan struct{})}
	var err error
	if r.spec, err = b.spec(ctx, r); err != nil {
		return nil, about(b.cfg.Name, err)
	}
	r.spec.Ready = func(ctx context.Context) error { return r.built.Load().ready(ctx) }
	r.built.Store(b)
	return r, nil
}

// about names the pipeline that an error is about, unless its place in the files does.
func about(pipeline string, err error) error {
	if len(config.Found(err)) > 0 {
		return err
	}
	return fmt.Errorf("pipeline %s: %w", pipeline, err)
}

// running returns the pipelines as they are now.
func (d *Daemon) running() []*running {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.pipelines)
}

// Run runs the pipelines until ctx ends, which drains them, and returns the errors of those that halted. One pipeline that
// halts does not stop the others; one that fails by its policy (stream.ErrFailed) ends all.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	d.ctx, d.end = ctx, cancel
	for _, r := range d.pipelines {
		d.launch(r)
	}
	close(d.begun)
	d.mu.Unlock()
	<-d.over
	var errs []error
	for _, r := range d.running() {
		errs = append(errs, r.err)
	}
	return errors.Join(errs...)
}

// launch begins to run a pipeline. The caller holds mu.
func (d *Daemon) launch(r *running) {
	var ctx context.Context
	ctx, r.stop = context.WithCancel(d.ctx)
	d.busy++
	go func() {
		defer d.leave()
		defer close(r.done)
		defer r.stop()
		r.name = d.options.Instance
		if d.options.Slot != nil {
			slot, release := d.options.Slot(r.cfg.Source.Group)
			defer release()
			r.name += slot
		}
		if err := r.live(ctx); err != nil {
			r.err = fmt.Errorf("pipeline %s: %w", r.cfg.Name, err)
			r.log.Error("the pipeline has ended", "error", err)
			if errors.Is(err, stream.ErrFailed) {
				d.end() // the policy is to end the process
			}
		}
	}()
}

// live runs a pipeline until ctx ends, or it halts.
func (r *running) live(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	diagnosis, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { r.diagnose(diagnosis) })
	if err := r.admit(ctx); err != nil {
		return err
	}
	return pipeline.Run(ctx, r.spec)
}

// enter keeps Run from returning until leave. It waits for Run to begin, and says whether it is still there.
func (d *Daemon) enter(ctx context.Context) bool {
	select {
	case <-d.begun:
	case <-ctx.Done():
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy == 0 || d.ctx.Err() != nil {
		return false
	}
	d.busy++
	return true
}

func (d *Daemon) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy--; d.busy == 0 {
		close(d.over)
	}
}

// Metrics serves what the pipelines do, for Prometheus.
func (d *Daemon) Metrics() http.Handler { return d.metrics.Handler() }

// Close lets go of plugins and connections. Run has returned before.
func (d *Daemon) Close(ctx context.Context) error {
	return errors.Join(d.engine.Close(ctx), d.pool.keep(func(*store) bool { return false }))
}
