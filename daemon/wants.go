package daemon

import (
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/expr"
)

// wanted gathers the fields that a pipeline looks up, in the order in which a record meets its steps, so that the pass which checks a
// value finds them all.
func (b *builder) wanted() *expr.Wants {
	var w gathered
	w.steps(b.cfg.Steps)
	for _, s := range b.sinks() {
		w.paths = append(w.paths, s.Key)
	}
	return expr.Gather(w.paths, w.expressions)
}

type gathered struct{ paths, expressions []string }

func (w *gathered) steps(steps []config.Step) {
	for i := range steps {
		switch st := &steps[i]; {
		case st.Filter != nil:
			w.expressions = append(w.expressions, st.Filter.Expr)
			w.use(st.Filter.Plugin)
		case st.Transform != nil:
			w.use(st.Transform)
		case st.Dedup != nil:
			w.paths = append(w.paths, st.Dedup.Key)
		case st.Reorder != nil:
			w.paths = append(w.paths, st.Reorder.Key, st.Reorder.Sequence, st.Reorder.Time)
		case st.Rekey != nil:
			w.paths = append(w.paths, st.Rekey.Key)
		case st.Route != nil:
			for _, r := range st.Route.Rules {
				w.expressions = append(w.expressions, r.When)
				w.steps(r.Steps)
			}
		}
	}
}

func (w *gathered) use(u *config.PluginUse) {
	if u != nil && u.Plugin.KV != nil {
		w.paths = append(w.paths, u.Plugin.KV.Prefetch)
	}
}

// path reads a path of the pipeline.
func (b *builder) path(src string) (expr.Path, error) {
	path, err := expr.ParsePath(src)
	return path.Within(b.cfg.Limits.JSONDepth).Among(b.wants), err
}

// predicate compiles an expression of the pipeline.
func (b *builder) predicate(src string) (*expr.Predicate, error) {
	p, err := expr.Compile(src)
	if err != nil {
		return nil, err
	}
	return p.Within(b.cfg.Limits.JSONDepth).Among(b.wants), nil
}
