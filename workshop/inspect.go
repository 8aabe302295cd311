package workshop

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
)

// Report is what a module is, before any of it has run; Fields is what it says of itself once it has started. A script has no
// imports and exports: those of its engine say nothing of it.
type Report struct {
	File    string   `json:"file"`
	Bytes   int      `json:"bytes"`
	SHA256  string   `json:"sha256"`
	Engine  string   `json:"engine,omitempty"` // digest of what runs a script
	ABI     string   `json:"abi"`
	Imports []string `json:"imports"`           // module.name type
	Exports []string `json:"exports"`           // name type
	Fields  []string `json:"fields,omitempty"`  // of JSON objects that it is given instead of the value, or beside it
	Trouble string   `json:"trouble,omitempty"` // why it does not start, so that its fields are not known
}

// Inspect tells what a loaded plugin is.
func (p *Plugin) Inspect(ctx context.Context) (Report, error) {
	r := Report{File: p.File, Bytes: len(p.Module), SHA256: p.Digest, ABI: p.ABI, Imports: []string{}, Exports: []string{}}
	if p.IsScript() {
		r.Engine = artifact.Digest(p.Module)
	} else if err := r.list(p.Module); err != nil {
		return r, fmt.Errorf("reading %s: %w", p.File, err)
	}
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		r.Trouble = err.Error()
		return r, nil //nolint:nilerr // a plugin without its configuration can be looked at too
	}
	r.Fields = g.Fields()
	return r, g.Close(ctx)
}

// list lists the imports and exports of a module.
func (r *Report) list(module []byte) error {
	m, err := meter.Read(module, meter.Large())
	if err != nil {
		return err
	}
	for _, i := range m.Imports {
		r.Imports = append(r.Imports, fmt.Sprintf("%s.%s %s", i.Module, i.Name, kindOf(i.Kind, i.Type)))
	}
	for _, e := range m.Exports {
		t, _ := m.Exported(e.Name)
		r.Exports = append(r.Exports, fmt.Sprintf("%s %s", e.Name, kindOf(e.Kind, t)))
	}
	return nil
}

func kindOf(k meter.Kind, t meter.Signature) string {
	if k != meter.Func {
		return k.String()
	}
	return fmt.Sprintf("(%s) -> (%s)", types(t.Params), types(t.Results))
}

func types(ts []byte) string {
	names := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}
	list := make([]string, len(ts))
	for i, t := range ts {
		list[i] = names[t]
	}
	return strings.Join(list, " ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
