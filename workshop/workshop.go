// Package workshop is what the author of a plugin works with: it loads a module as a pipeline would, and says what it is,
// whether it keeps to its contract, what it makes of records, and what they cost.
package workshop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/js"
	"github.com/streamproc/streamproc/runtime/lua"
	"github.com/streamproc/streamproc/runtime/py"
	"github.com/streamproc/streamproc/stream"
)

// Options are what a plugin is loaded with.
type Options struct {
	Dialects []runtime.Dialect
	CacheDir string   // "": nothing is kept
	Compiler []string // as in runtime.Options
	Logger   *slog.Logger
	Limits   runtime.Limits
	Config   json.RawMessage // for the plugin
	Engine   string          // file of a Python, for a script in it; "": python.wasm beside the script; held to engine.sha256 beside it
}

// Plugin is a loaded plugin with the runtime that it runs in. It is for one goroutine.
type Plugin struct {
	File    string
	Module  []byte // of a script: the engine that runs it
	Digest  string // of the module, or of the script
	ABI     string
	Limits  runtime.Limits
	source  runtime.Source
	shelf   shelf // nil: there is nothing to read
	runtime *runtime.Runtime
	plugin  *runtime.Plugin
}

// lookBack is as much as a pipeline may grant: a plugin that remembers may rest on all that it is tried with.
const lookBack = 10_000

// Open loads a module, or a script by its ending (.ts, .js, .mts, .mjs, .lua, .py).
func Open(ctx context.Context, file string, o Options) (_ *Plugin, err error) {
	p := &Plugin{File: file, Limits: o.Limits}
	source := runtime.Source{Name: strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), Config: o.Config, Limits: o.Limits, Topics: []string{"in"}, LookBack: lookBack}
	if err = p.read(&source, o); err != nil {
		return nil, err
	}
	p.Module = source.Bytes
	if o.Limits.Large && source.Dialect == nil {
		source.SHA256 = artifact.Digest(source.Bytes) // whoever works on it means these bytes
	}
	if p.shelf, err = shelfBeside(file); err != nil {
		return nil, err
	}
	source.Lookups = p.shelf
	if p.runtime, err = runtime.New(ctx, runtime.Options{CacheDir: o.CacheDir, Compiler: o.Compiler, Logger: o.Logger, Dialects: o.Dialects}); err != nil {
		return nil, err
	}
	p.source = source
	if p.plugin, err = p.runtime.Load(ctx, source); err != nil {
		return nil, errors.Join(err, p.runtime.Close(ctx))
	}
	if p.Digest == "" {
		p.Digest = p.plugin.Digest()
	}
	p.ABI = p.plugin.ABI()
	return p, nil
}

// read reads the module, or the script and with it the engine that runs it.
func (p *Plugin) read(s *runtime.Source, o Options) error {
	switch filepath.Ext(p.File) {
	case ".ts", ".js", ".mts", ".mjs":
		script, err := js.Compile(p.File)
		if err != nil {
			return errors.Join(err, unbuilt(p.File))
		}
		s.Bytes, s.Dialect, p.Digest = js.Engine, script, script.Digest()
		return nil
	case ".lua":
		script, err := lua.Read(p.File)
		if err != nil {
			return err
		}
		s.Bytes, s.Dialect, p.Digest = lua.Engine, script, script.Digest()
		return nil
	case ".py":
		script, err := py.Read(p.File)
		if err != nil {
			return err
		}
		s.Dialect, p.Digest = script, script.Digest()
		s.Bytes, err = engine(o.Engine, p.File, o.Logger)
		return err
	}
	b, err := artifact.Read(p.File)
	if err != nil {
		return errors.Join(fmt.Errorf("reading the plugin: %w", err), notYetBuilt(p.File))
	}
	s.Bytes = b
	return nil
}

// other is the same module, loaded with something else beside it. Its plugin is the caller's to close.
func (p *Plugin) other(ctx context.Context, change func(*runtime.Source)) (_ *Plugin, err error) {
	o := *p
	change(&o.source)
	if o.plugin, err = p.runtime.Load(ctx, o.source); err != nil {
		return nil, err
	}
	return &o, nil
}

// IsScript says that the module is the engine of a script.
func (p *Plugin) IsScript() bool { return p.Digest != artifact.Digest(p.Module) }

// Close lets go of the plugin and its runtime.
func (p *Plugin) Close(ctx context.Context) error {
	return errors.Join(p.plugin.Close(ctx), p.runtime.Close(ctx))
}

// guest starts an instance: as a transform, or as a filter where it is one.
func (p *Plugin) guest(ctx context.Context, e runtime.Events) (*runtime.Guest, error) {
	mode := runtime.Transform
	if strings.Contains(p.ABI, "sp_filter") {
		mode = runtime.Filter
	}
	return p.plugin.NewGuest(ctx, mode, "plugin", e)
}

// Line is what became of one record, or is an output of it, as it is compared: key and headers stand where they differ
// from the input's.
type Line struct {
	Input   int             `json:"-"` // number of the record, from 0
	Key     *string         `json:"key,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Headers [][2]string     `json:"headers,omitempty"`
	Failed  string          `json:"failed,omitempty"` // reason and message
}

// String shows a line as it stands in a file of wanted output.
func (l Line) String() string {
	if l.Failed != "" {
		return "!" + strings.Replace(l.Failed, ": ", " ", 1)
	}
	if l.Key == nil && l.Headers == nil {
		return string(l.Value)
	}
	var b strings.Builder
	b.WriteString(`{"value":` + string(l.Value))
	if l.Key != nil {
		fmt.Fprintf(&b, `,"key":%q`, *l.Key)
	}
	for i, h := range l.Headers {
		sep := ","
		if i == 0 {
			sep = `,"headers":{`
		}
		fmt.Fprintf(&b, "%s%q:%q", sep, h[0], h[1])
	}
	if l.Headers != nil {
		b.WriteByte('}')
	}
	return b.String() + "}"
}

// Run hands records to a fresh instance in one batch, and returns what came out: nothing for a filtered record, a line for
// each output, or one that says why it failed.
func (p *Plugin) Run(ctx context.Context, records []Record) (lines []Line, err error) {
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	return through(ctx, g, records, 0)
}

// through hands the records from number lo on, as if they lay there in the log, to a guest in one batch.
func through(ctx context.Context, g *runtime.Guest, records []Record, lo int) (lines []Line, err error) {
	b := batchOf(records[lo:])
	for i := range b.Records {
		b.Records[i].Origin.Offset += int64(lo)
	}
	if err := g.Process(ctx, b); err != nil {
		return nil, err
	}
	for i := range b.Records {
		if r := &b.Records[i]; r.Fate == stream.Flowing || r.Fate == stream.DeadLettered {
			lines = append(lines, lineOf(r, &records[r.Origin.Offset]))
		}
	}
	return lines, nil
}

func batchOf(records []Record) *stream.Batch {
	b := &stream.Batch{Records: make([]stream.Record, len(records))}
	for i := range records {
		b.Records[i] = records[i].stream(int64(i))
	}
	return b
}

func lineOf(r *stream.Record, in *Record) Line {
	l := Line{Input: int(r.Origin.Offset)}
	if r.Fate == stream.DeadLettered {
		l.Failed = string(r.Cause.Reason) + ": " + r.Cause.Message
		return l
	}
	l.Value = valueOf(r.Value)
	if was := in.stream(0); string(r.Key) != string(was.Key) || (r.Key == nil) != (was.Key == nil) {
		key := string(r.Key)
		l.Key = &key
	}
	if !sameHeaders(r.Headers, in) {
		for _, h := range r.Headers {
			l.Headers = append(l.Headers, [2]string{h.Key, string(h.Value)})
		}
	}
	return l
}

// valueOf shows bytes: JSON as it is, other text as a string, null as null.
func valueOf(b []byte) json.RawMessage {
	if b == nil {
		return json.RawMessage("null")
	}
	if json.Valid(b) && !strings.ContainsAny(string(b), "\r\n") {
		return b
	}
	text, _ := json.Marshal(string(b)) // of a string: never fails
	return text
}

func sameHeaders(hs []stream.Header, in *Record) bool {
	was := in.stream(0).Headers
	if len(hs) != len(was) {
		return false
	}
	for i := range hs {
		if hs[i].Key != was[i].Key || string(hs[i].Value) != string(was[i].Value) {
			return false
		}
	}
	return true
}
