package expr

import (
	"maps"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/stream"
)

// Wants are the fields of a value that the paths and expressions of a pipeline look up: the pass that checks a value finds
// them all. Those beyond stream.Places are looked up one by one. Once it is made it is immutable, and safe for concurrent use.
type Wants struct{ set *fields.Set }

// Gather makes the Wants of some paths, and of expressions; what is not written right is left out. The first count most.
func Gather(paths, expressions []string) *Wants {
	var names []string
	want := func(name string) {
		if len(names) < stream.Places && len(name) <= fields.NameBytes && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, src := range paths {
		if name, ok := strings.CutPrefix(src, "$."); ok && single(name) {
			want(name)
		}
	}
	for _, src := range expressions {
		if p, err := Compile(src); err == nil {
			for _, name := range slices.Sorted(maps.Keys(p.fields)) {
				want(name)
			}
		}
	}
	set, err := fields.New(names)
	if err != nil || len(names) == 0 {
		return nil
	}
	return &Wants{set}
}

// single says that a path names a field of the outermost object.
func single(name string) bool { return name != "" && !strings.ContainsAny(name, ".[") }

// slot is where the field of a name is remembered, or -1.
func (w *Wants) slot(name string) int {
	if w == nil {
		return -1
	}
	return slices.Index(w.set.Names(), name)
}

// check says what a value is, and sets the record's places where it is an object.
func (w *Wants) check(r *stream.Record, depth int) stream.JSONState {
	if w == nil {
		if fields.Valid(r.Value, depth) != nil {
			return stream.JSONInvalid
		}
		return stream.JSONValid
	}
	var spans [stream.Places]fields.Span
	object, err := w.set.Locate(r.Value, depth, spans[:len(w.set.Names())])
	switch {
	case err != nil:
		return stream.JSONInvalid
	case !object:
		return stream.JSONValid
	}
	for i, s := range spans {
		r.Places[i] = stream.Place(s)
	}
	return stream.JSONLocated
}
