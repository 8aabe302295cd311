package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/dedup"
	"github.com/streamproc/streamproc/expr"
	"github.com/streamproc/streamproc/kafka"
	"github.com/streamproc/streamproc/metrics"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/js"
	"github.com/streamproc/streamproc/runtime/lua"
	"github.com/streamproc/streamproc/runtime/py"
	"github.com/streamproc/streamproc/stream"
)

// Who plays which part.
var (
	_ pipeline.Client     = (*kafka.Client)(nil)
	_ pipeline.Step       = (*runtime.Guest)(nil)
	_ pipeline.Rememberer = (*runtime.Guest)(nil)
	_ pipeline.Stateful   = (*dedup.Step)(nil)
	_ pipeline.Deriver    = deduper{}
	_ pipeline.Predicate  = (*expr.Predicate)(nil)
	_ dedup.Store         = (*redisstate.Space)(nil)
)

// deduper lets the flow derive verdicts without the step's store.
type deduper struct{ *dedup.Step }

// Derive implements pipeline.Deriver.
func (d deduper) Derive(p stream.Partition) pipeline.Step { return d.Step.Derive(p) }

// builder is one generation of a pipeline: its configuration, the plugins and stores that it names, and how its Spec and the
// stages of its workers are made of them.
type builder struct {
	whole   *config.Config // where it stands
	cfg     *config.Pipeline
	options Options
	log     *slog.Logger
	metrics *metrics.Registry
	engine  *runtime.Runtime
	pool    *pool
	stores  map[*config.Redis]*store
	lookups map[*config.KV]lookup
	plugins map[*config.PluginUse]*runtime.Plugin
	numbers map[*config.Sink]stream.Sink
	names   map[*config.PluginUse]string      // of the steps that use them
	wants   *expr.Wants                       // the fields that its paths and expressions look up
	trials  map[string]*atomic.Pointer[trial] // by step
	files   string                            // digest of the certificates and keys in use
	closed  bool

	// of the pipeline that runs it
	observe *observer
	flow    *pipeline.Events
}

// load reads, checks and compiles all that the configuration names. Nothing is connected.
func (b *builder) load(ctx context.Context) error {
	for i, sink := range b.sinks() {
		b.numbers[sink] = stream.Sink(i + 1)
	}
	b.wants = b.wanted()
	if err := b.loadSteps(ctx, b.cfg.Steps); err != nil {
		return errors.Join(err, b.close(ctx))
	}
	b.files = filesOf(b.cfg)
	return nil
}

// close lets go of the plugins. Guests that are alive live on; stores are the pool's.
func (b *builder) close(ctx context.Context) error {
	if b.closed {
		return nil
	}
	b.closed = true
	var errs []error
	for _, p := range b.plugins {
		errs = append(errs, p.Close(ctx))
	}
	return errors.Join(errs...)
}

// sinks are all that the pipeline writes to, in the order of their numbers.
func (b *builder) sinks() []*config.Sink {
	return append(append([]*config.Sink{}, b.cfg.Sinks...), b.cfg.DLQ)
}

// spec makes what a run of the pipeline needs.
func (b *builder) spec(ctx context.Context, r *running) (*pipeline.Spec, error) {
	p, o := b.cfg, r.observer
	s := &pipeline.Spec{Name: p.Name, Events: o.flow(), Now: b.options.Now, Workers: p.Workers, CommitInterval: p.CommitInterval, Pace: paceOf(p), Ledger: pipeline.NewLedger(),
		Limits: pipeline.Limits{ValueBytes: p.Limits.ValueBytes, KeyBytes: p.Limits.KeyBytes, Headers: p.Limits.Headers, HeaderBytes: p.Limits.HeaderBytes}}
	cluster, err := clusterOf(p.Source.Kafka, b.options.Dial)
	if err != nil {
		return nil, b.whole.At(p.Source.Kafka.TLS, err)
	}
	cluster.Events = o.client()
	b.observe, b.flow = o, &s.Events
	var outputs []kafka.Output
	for _, sink := range b.sinks() {
		out := pipeline.Output{Name: sink.Name}
		if sink.Key != "" {
			path, err := b.path(sink.Key)
			if err != nil {
				return nil, fmt.Errorf("sink %s: %w", sink.Name, err)
			}
			out.Key = path.Key
		}
		s.Outputs = append(s.Outputs, out)
		o := kafka.Output{Topic: sink.Topic, Compression: sink.Compression, Linger: sink.Linger, Internal: sink.Internal}
		if sink.Kafka != p.Source.Kafka {
			if o.Cluster, err = clusterOf(sink.Kafka, b.options.Dial); err != nil {
				return nil, b.whole.At(sink.Kafka.TLS, err)
			}
			o.Cluster.Events = cluster.Events
		}
		outputs = append(outputs, o)
	}
	s.Sink, s.DeadLetters = b.numbers[p.Default()], b.numbers[p.DLQ]
	known := make([]bool, p.Workers) // in the group, by its worker's goroutine
	s.Dial = func(worker int) (pipeline.Client, error) {
		if err := b.internal(ctx, cluster); err != nil {
			return nil, err
		}
		of := b.group(r.name, worker)
		of.Fresh, known[worker] = !known[worker], true
		c, err := kafka.Dial(*cluster, of, outputs, p.InFlightBytes, b.log)
		if err != nil || b.options.Client == nil {
			return c, err
		}
		return b.options.Client(worker, c), nil
	}
	s.Build = b.stages
	return s, nil
}

// ready returns nil once everything that the steps depend on answers.
func (b *builder) ready(ctx context.Context) error {
	for _, store := range b.stores {
		if err := store.Ping(ctx); err != nil {
			return err
		}
	}
	for _, l := range b.lookups {
		if err := l.Ping(ctx); err != nil {
			return err
		}
	}
	for _, p := range b.plugins {
		if err := p.Ready(); err != nil {
			return err
		}
	}
	return nil
}

// group is that of a worker. The member's name is unique among the living if the instance's is.
func (b *builder) group(instance string, worker int) kafka.Group {
	g := groupOf(b.cfg)
	g.Member = fmt.Sprintf("%s.%s.%d", b.cfg.Name, instance, worker)
	if b.cfg.ExactlyOnce {
		g.TransactionalID = g.Member
	}
	return g
}

func groupOf(p *config.Pipeline) kafka.Group {
	trusted := map[string]bool{}
	if p.Source.Internal {
		trusted[p.Source.Topics[0]] = true
	}
	return kafka.Group{TrustedTopics: trusted, Name: p.Source.Group, Topics: p.Source.Topics, Start: kafka.Start{Latest: p.Source.Latest, At: p.Source.StartAt},
		SessionTimeout: p.Source.SessionTimeout, PollRecords: pollRecords(p), PollBytes: p.Source.PollBytes, Consumer: p.Source.Consumer}
}

func clusterOf(k *config.Kafka, dial dialer) (*kafka.Cluster, error) {
	t, err := tlsOf(k.TLS)
	if err != nil {
		return nil, fmt.Errorf("kafka %s: %w", k.Name, err)
	}
	return &kafka.Cluster{Brokers: k.Brokers, ClientID: k.ClientID, TLS: t, Dial: dial,
		SASL: kafka.SASL{Mechanism: k.SASL.Mechanism, Username: k.SASL.Username, Password: k.SASL.Password.Reveal()}}, nil
}

func tlsOf(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no TLS is a setting, not an error
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the user's explicit choice
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading tls.cert_file and tls.key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// loadSteps compiles the plugins of steps, once for all workers, and opens the stores. All that is wrong is told.
func (b *builder) loadSteps(ctx context.Context, steps []config.Step) error {
	var wrong []error
	for i := range steps {
		st := &steps[i]
		switch {
		case st.Transform != nil:
			wrong = append(wrong, b.plugin(ctx, st.Name, st.Transform))
		case st.Filter != nil && st.Filter.Plugin != nil:
			wrong = append(wrong, b.plugin(ctx, st.Name, st.Filter.Plugin))
		case st.Dedup != nil:
			wrong = append(wrong, b.stepStore(st.Name, st.Dedup.Store))
		case st.Reorder != nil && st.Reorder.Sequence != "":
			wrong = append(wrong, b.stepStore(st.Name, st.Reorder.Store))
		case st.Route != nil:
			for _, r := range st.Route.Rules {
				wrong = append(wrong, b.loadSteps(ctx, r.Steps))
			}
		}
	}
	return errors.Join(wrong...)
}

// wrong is an error of a step, at the place in the files of what it is about.
func (b *builder) wrong(of any, step string, err error) error {
	if err == nil {
		return nil
	}
	if placed := b.whole.At(of, err); placed != err { //nolint:errorlint // the same, if it has no place
		return placed
	}
	return fmt.Errorf("pipeline %s: step %s: %w", b.cfg.Name, step, err)
}

func (b *builder) stepStore(step string, r *config.Redis) error {
	return b.wrong(r.TLS, step, b.store(r))
}

func (b *builder) plugin(ctx context.Context, step string, use *config.PluginUse) error {
	c := use.Plugin
	s := runtime.Source{Name: c.Name, SHA256: c.SHA256, Config: use.Config, Topics: b.cfg.Source.Topics, ABI: c.ABI,
		Limits: limitsOf(c.Limits), Capabilities: c.Capabilities, LookBack: use.LookBack, Logger: b.log, Metrics: c.Metrics}
	if err := b.lookup(&s, c.KV); err != nil {
		return b.wrong(c.KV.Store.TLS, step, fmt.Errorf("plugin %s: %w", c.Name, err))
	}
	for _, sink := range use.Outputs {
		s.Outputs = append(s.Outputs, runtime.Output{Name: sink.Name, Sink: b.numbers[sink]})
	}
	if err := b.readPlugin(ctx, &s, c); err != nil {
		return b.wrong(c, step, fmt.Errorf("reading plugin %s: %w", c.Name, err))
	}
	p, err := b.engine.Load(ctx, s)
	if err != nil {
		return b.wrong(c, step, err)
	}
	if c.KV != nil && !p.LooksUp() {
		err := fmt.Errorf("plugin %s is for %s, which has no kv_get: leave kv out", c.Name, p.ABI())
		return errors.Join(b.wrong(c, step, err), p.Close(ctx))
	}
	b.plugins[use], b.names[use], b.trials[step] = p, step, &atomic.Pointer[trial]{}
	return nil
}

func limitsOf(l config.PluginLimits) runtime.Limits {
	return runtime.Limits{MemoryBytes: l.MemoryBytes, OutputBytes: l.OutputBytes, Outputs: l.Outputs, Fuel: l.Fuel, Depth: l.Depth,
		LogLines: l.LogLines, Traps: l.Traps, Large: l.Structure == "large"}
}

// readPlugin reads the module, or the script and with it the engine that runs it.
func (b *builder) readPlugin(ctx context.Context, s *runtime.Source, p *config.Plugin) (err error) {
	switch {
	case p.JS != "":
		script, err := js.Compile(p.JS)
		if err != nil {
			return err
		}
		script.Bytes = b.cfg.Source.Bytes
		s.Bytes, s.Dialect = js.Engine, script
		return nil
	case p.Lua != "":
		script, err := lua.Read(p.Lua)
		if err != nil {
			return err
		}
		script.Bytes = b.cfg.Source.Bytes
		s.Bytes, s.Dialect = lua.Engine, script
		return nil
	case p.Py != "":
		script, err := py.Read(p.Py)
		if err != nil {
			return err
		}
		script.Bytes = b.cfg.Source.Bytes
		s.Dialect = script
		s.Bytes, err = py.Engine(p.Engine.Wasm, p.Engine.SHA256)
		return err
	}
	s.Bytes, err = b.module(ctx, p)
	return err
}

func (b *builder) store(r *config.Redis) (err error) {
	if b.stores[r] == nil {
		b.stores[r], err = b.pool.open(r)
	}
	return err
}

// guest is an instance of a plugin, and whom to tell of its end.
type guest struct {
	*runtime.Guest
	ended func()
}

// stages makes the steps of one worker.
func (b *builder) stages(ctx context.Context, _ int) ([]pipeline.Stage, func(), error) {
	var guests []guest
	release := func() {
		for _, g := range guests {
			_ = g.Close(context.WithoutCancel(ctx))
			g.ended()
		}
	}
	stages, err := b.each(ctx, b.cfg.Steps, &guests)
	if err != nil {
		release()
		return nil, nil, err
	}
	return stages, release, nil
}

func (b *builder) each(ctx context.Context, steps []config.Step, guests *[]guest) ([]pipeline.Stage, error) {
	stages := make([]pipeline.Stage, 0, len(steps))
	for i := range steps {
		step, err := b.step(ctx, &steps[i], guests)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", steps[i].Name, err)
		}
		if on := pipeline.OnError(steps[i].OnError); on != "" && on != pipeline.ToDeadLetters {
			step = &pipeline.Policy{Step: step, Name: steps[i].Name, OnError: on,
				Retry: pipeline.RetryPolicy{Attempts: b.cfg.Retry.Attempts, Min: b.cfg.Retry.Min, Max: b.cfg.Retry.Max}}
		}
		stages = append(stages, pipeline.Stage{Name: steps[i].Name, Step: step})
	}
	return stages, nil
}

func (b *builder) step(ctx context.Context, st *config.Step, guests *[]guest) (pipeline.Step, error) {
	switch {
	case st.Filter != nil && st.Filter.Plugin == nil:
		p, err := b.predicate(st.Filter.Expr)
		if err != nil {
			return nil, err
		}
		return &pipeline.Filter{Name: st.Name, Keep: p}, nil
	case st.Filter != nil:
		return b.guest(ctx, st.Name, runtime.Filter, st.Filter.Plugin, guests)
	case st.Transform != nil:
		return b.guest(ctx, st.Name, runtime.Transform, st.Transform, guests)
	case st.Dedup != nil:
		return b.dedup(st)
	case st.Reorder != nil:
		return b.reorder(st)
	}
	if st.Rekey != nil {
		return b.rekey(st)
	}
	return b.route(ctx, st, guests)
}

func (b *builder) guest(ctx context.Context, name string, mode runtime.Mode, use *config.PluginUse, guests *[]guest) (pipeline.Step, error) {
	events, ended := b.observe.guest(name, b.plugins[use])
	g, err := b.plugins[use].NewGuest(ctx, mode, name, events)
	if err != nil {
		ended()
		return nil, err
	}
	*guests = append(*guests, guest{g, ended})
	if use.LookBack > 0 {
		looking, forgotten := b.observe.looking(name)
		(*guests)[len(*guests)-1].ended = func() { ended(); forgotten() }
		return &pipeline.LookBack{Rememberer: g, Offsets: use.LookBack, Bytes: use.Kept, Events: looking}, nil
	}
	return &shadowed{g, b.trials[name]}, nil
}

func (b *builder) dedup(st *config.Step) (pipeline.Step, error) {
	d := st.Dedup
	key, err := b.path(d.Key)
	if err != nil {
		return nil, err
	}
	step, err := dedup.New(dedup.Config{Name: st.Name, Key: key.Key, Window: d.Window, Mode: dedup.Mode(d.Mode), Side: b.numbers[d.Side],
		OnUnavailable: dedup.Unavailable(d.OnUnavailable), OnStateLoss: dedup.StateLoss(d.OnStateLoss), Store: b.stores[d.Store].Space(b.cfg.Name, st.Name),
		Events: b.observe.dedup(st.Name)})
	if err != nil {
		return nil, err
	}
	return deduper{step}, nil
}

func (b *builder) route(ctx context.Context, st *config.Step, guests *[]guest) (pipeline.Step, error) {
	r := &pipeline.Route{Name: st.Name, Otherwise: b.numbers[st.Route.Otherwise], Events: b.flow}
	for _, rule := range st.Route.Rules {
		when, err := b.predicate(rule.When)
		if err != nil {
			return nil, err
		}
		stages, err := b.each(ctx, rule.Steps, guests)
		if err != nil {
			return nil, err
		}
		r.Rules = append(r.Rules, pipeline.Rule{When: when, Stages: stages, To: b.numbers[rule.To]})
	}
	return r, nil
}
