package runtime

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
)

// Source is a plugin as configured: the bytes of its module and what belongs to them.
type Source struct {
	Name    string
	Bytes   []byte // the bytes that are hashed are the bytes that are run
	SHA256  string // hex; if set, other bytes are refused
	Config  json.RawMessage
	Limits  Limits
	Topics  []string     // input topics, by the number the guest sees
	Outputs []Output     // named outputs; an output n of the guest is Outputs[n-1]
	Metrics []string     // names of the counters of sp1.metric_add
	Logger  *slog.Logger // for what its guests log; nil: the Runtime's
	Dialect Dialect      // what the module speaks; nil: what its imports and exports say
	ABI     string       // name of the dialect, where the module could be of several

	LookBack     int64                                      // how many offsets its answer may rest on besides the record's own, and how far back it is given records again; 0: none
	Capabilities []string                                   // what the guest is given of the world; "clock" is all there is
	Lookups      Lookups                                    // what the guest may read by kv_get; nil: nothing
	Prefetch     func(*stream.Record) (key []byte, ok bool) // names a key that the guest will ask for, for each record; nil: none
	Seed         uint64                                     // where the random bytes of an instance begin, and by how many microseconds its WASI clock is ahead
}

// Output is a named output and the sink that it leads to.
type Output struct {
	Name string
	Sink stream.Sink
}

// Plugin is a compiled, checked module with its configuration. It is safe for concurrent use.
type Plugin struct {
	rt      *Runtime
	log     *slog.Logger
	module  *module
	name    string
	digest  string
	form    form
	dialect Dialect // nil for sp1
	config  []byte  // for sp_init
	limits  Limits
	topics  map[string]uint16
	outputs []Output
	metrics []string
	breaker breaker
	next    atomic.Pointer[Plugin] // has taken the place of this one
	clock   bool                   // the guest sees the time of the clock on the wall
	lookups Lookups
	seed    uint64

	looksBack bool // its memory is a function of the log
	prefetch  func(*stream.Record) ([]byte, bool)

	userConfig json.RawMessage
	topicNames []string
}

// Load checks and compiles a plugin. Bytes that are in use already are not compiled again. It blocks while another
// plugin is compiled; the engine's compiler does not honour ctx.
func (rt *Runtime) Load(ctx context.Context, s Source) (*Plugin, error) {
	mostFuel, pinned := int64(maxFuel), s.SHA256 != ""
	if f, ok := s.Dialect.(Frugal); ok {
		own := f.Defaults()
		s.Limits, mostFuel, pinned = s.Limits.or(own), max(mostFuel, 2*own.Fuel), pinned || own.Large
		s.Limits.Large = s.Limits.Large || own.Large
	}
	limits, err := s.Limits.withDefaults(mostFuel)
	if err != nil {
		return nil, fmt.Errorf("loading plugin %s: %w", s.Name, err)
	}
	digest := sha256.Sum256(s.Bytes)
	p := &Plugin{rt: rt, log: cmp.Or(s.Logger, rt.log), name: s.Name, digest: hex.EncodeToString(digest[:]), limits: limits, outputs: s.Outputs, metrics: s.Metrics,
		userConfig: s.Config, topicNames: s.Topics, breaker: breaker{limit: limits.Traps},
		lookups: s.Lookups, prefetch: s.Prefetch, looksBack: s.LookBack > 0, seed: s.Seed}
	if d, ok := s.Dialect.(interface{ Digest() string }); ok {
		p.digest = d.Digest() // what the user wrote is more telling than the engine that runs it
	}
	if s.SHA256 != "" && !strings.EqualFold(s.SHA256, p.digest) {
		return nil, fmt.Errorf("loading plugin %s: %w: it is %s, %s is wanted; if this is the module you mean, give it as sha256", s.Name, ErrDigest, p.digest, s.SHA256)
	}
	if limits.Large && !pinned {
		return nil, fmt.Errorf("loading plugin %s: %w", s.Name, errLarge)
	}
	for _, c := range s.Capabilities {
		if c != "clock" {
			return nil, fmt.Errorf("loading plugin %s: the capability %q is not known; there is clock", s.Name, c)
		}
		p.clock = true
	}
	m, err := readModule(s.Bytes, limits)
	if err != nil {
		return nil, fmt.Errorf("loading plugin %s: %w", s.Name, err)
	}
	if err := p.identify(m, s); err != nil {
		return nil, fmt.Errorf("loading plugin %s: %w", s.Name, err)
	}
	if err := p.checkLookups(m); err != nil {
		return nil, fmt.Errorf("loading plugin %s: %w", s.Name, err)
	}
	if p.config, err = configFor(s); err != nil {
		return nil, fmt.Errorf("configuring plugin %s: %w", s.Name, err)
	}
	p.topics = make(map[string]uint16, len(s.Topics))
	for i, t := range s.Topics {
		p.topics[t] = uint16(i)
	}
	if p.module, err = rt.compile(ctx, m.Metered(), limits.Large); err != nil {
		return nil, fmt.Errorf("compiling plugin %s: %w", s.Name, err)
	}
	return p, nil
}

// readModule takes a module apart. If it is over a cap that the large structure would lift, the error says so.
func readModule(wasm []byte, l Limits) (*meter.Module, error) {
	m, err := meter.Read(wasm, l.caps())
	if !errors.Is(err, meter.ErrCap) {
		return m, err
	}
	roomy := l
	roomy.MemoryBytes = maxMemory
	if _, larger := meter.Read(wasm, roomy.caps()); larger == nil {
		return nil, fmt.Errorf("%w; it starts with more than the limit memory of %d bytes: raise that", err, l.MemoryBytes)
	}
	if l.Large {
		return nil, err
	}
	l.Large = true
	if _, larger := meter.Read(wasm, l.caps()); larger != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w; limits: { structure: large } lets it pass, if its sha256 is given", err)
}

// identify finds out which ABI the module speaks, and checks that it keeps to it.
func (p *Plugin) identify(m *meter.Module, s Source) (err error) {
	if p.dialect = s.Dialect; p.dialect == nil {
		if p.dialect, err = p.rt.detect(m, s.ABI); err != nil {
			return err
		}
		if f, ok := p.dialect.(Frugal); ok && s.Limits.Fuel == 0 {
			p.limits.Fuel = cmp.Or(f.Defaults().Fuel, p.limits.Fuel)
		}
	}
	if p.dialect == nil {
		p.form, err = checkContract(m)
		return err
	}
	p.form = spoken
	return p.rt.checkDialect(p.dialect, m)
}

// configFor is the JSON document for sp_init.
func configFor(s Source) ([]byte, error) {
	doc := struct {
		Plugin  string          `json:"plugin"`
		Config  json.RawMessage `json:"config"`
		Topics  []string        `json:"topics"`
		Outputs []string        `json:"outputs"`
		Metrics []string        `json:"metrics"`
		Back    int64           `json:"look_back,omitempty"`
	}{s.Name, s.Config, append([]string{}, s.Topics...), []string{}, append([]string{}, s.Metrics...), s.LookBack}
	if len(s.Config) == 0 {
		doc.Config = json.RawMessage("{}")
	}
	for _, o := range s.Outputs {
		doc.Outputs = append(doc.Outputs, o.Name)
	}
	return json.Marshal(doc)
}

// Name returns the name given in Source.
func (p *Plugin) Name() string { return p.name }

// ABI returns what the module speaks: a dialect, or sp1 and the export that is called.
func (p *Plugin) ABI() string {
	if p.dialect != nil {
		return p.dialect.Name()
	}
	return "sp1 (" + string(p.form) + ")"
}

// LooksUp says whether guests of this ABI have a way to look keys up.
func (p *Plugin) LooksUp() bool {
	_, ok := p.dialect.(Looker)
	return ok || p.dialect == nil
}

// Metrics are the names of the counters of sp1.metric_add.
func (p *Plugin) Metrics() []string { return p.metrics }

// Fuel returns how many units one record may spend.
func (p *Plugin) Fuel() int64 { return p.limits.Fuel }

// Caps returns what the structure of the module is held to.
func (p *Plugin) Caps() meter.Caps { return p.limits.caps() }

// Digest returns the hex SHA-256 of the module.
func (p *Plugin) Digest() string { return p.digest }

// MemoryBytes returns the most memory that one guest may take.
func (p *Plugin) MemoryBytes() int64 { return p.limits.MemoryBytes }

// Close lets go of the plugin. Its guests live on; the machine code goes with the last of them.
func (p *Plugin) Close(ctx context.Context) error { return p.rt.release(ctx, p.module) }
