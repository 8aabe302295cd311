package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
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
	// Instance names this process in its transactional ids. It is unique among the living, and the same again after a
	// restart where that can be had.
	Instance string

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
	log       *slog.Logger
	engine    *runtime.Runtime
	metrics   *metrics.Registry
	stores    map[*config.Redis]*store
	pipelines []*running
}

// running is one pipeline with what is known about it.
type running struct {
	*observer
	cfg      *config.Pipeline
	dial     dialer
	instance string
	spec     *pipeline.Spec
	uses     map[*config.PluginUse]*runtime.Plugin
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
	d := &Daemon{log: o.Logger, engine: engine, stores: map[*config.Redis]*store{}}
	d.metrics = metrics.New(d.accounts)
	for _, p := range cfg.Pipelines {
		if len(o.Only) > 0 && !contains(o.Only, p.Name) && !contains(o.Only, p.Of) {
			continue
		}
		log := o.Logger.With("pipeline", p.Name)
		b := &builder{cfg: p, options: o, log: log, observe: newObserver(p, log, d.metrics), metrics: d.metrics, engine: engine, stores: d.stores, plugins: map[*config.PluginUse]*runtime.Plugin{}, numbers: map[*config.Sink]stream.Sink{}}
		spec, err := b.spec(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("pipeline %s: %w", p.Name, err), d.Close(ctx))
		}
		d.pipelines = append(d.pipelines, &running{observer: b.observe, cfg: p, dial: o.Dial, instance: o.Instance, spec: spec, uses: b.plugins})
	}
	if len(d.pipelines) == 0 {
		return nil, errors.Join(fmt.Errorf("no pipeline is named %v", o.Only), d.Close(ctx))
	}
	return d, nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// Run runs the pipelines until ctx ends, which drains them, and returns the errors of those that halted. One pipeline that
// halts does not stop the others; one that fails by its policy (stream.ErrFailed) ends all.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(d.pipelines))
	for i, r := range d.pipelines {
		wg.Go(func() {
			diagnosis, stop := context.WithCancel(ctx)
			defer stop()
			wg.Go(func() { r.diagnose(diagnosis) })
			err := d.admit(ctx, r)
			if err == nil {
				err = pipeline.Run(ctx, r.spec)
			}
			if err != nil {
				errs[i] = fmt.Errorf("pipeline %s: %w", r.cfg.Name, err)
				r.log.Error("the pipeline has ended", "error", err)
				if errors.Is(err, stream.ErrFailed) {
					cancel() // the policy is to end the process
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Metrics serves what the pipelines do, for Prometheus.
func (d *Daemon) Metrics() http.Handler { return d.metrics.Handler() }

// Close lets go of plugins and connections. Run has returned before.
func (d *Daemon) Close(ctx context.Context) error {
	errs := []error{d.engine.Close(ctx)}
	for _, s := range d.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
