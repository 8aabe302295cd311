package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"github.com/streamproc/streamproc/stream"
	"github.com/tidwall/gjson"
)

// costLimit stops an expression that would run for too long on one record; a triple nested map over 200 elements ends
// here.
const costLimit = 1_000_000

// Predicate is a CEL expression over a record: value, key, headers, topic, partition, offset and timestamp. It is used by
// one goroutine at a time.
type Predicate struct {
	src    string
	prg    cel.Program
	fields tree // what the expression selects of value; nil: it uses value as a whole
	usesV  bool
	depth  int // how deep a value may nest
	wants  *Wants
	slots  map[string]int // of all fields, in wants; nil: they are looked for in the value
	vars   map[string]any
}

// SyntaxError says where in an expression something is wrong. Line and Column count from 1.
type SyntaxError struct {
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string { return e.Message }

// Compile checks an expression and compiles it. An error is a *SyntaxError where the place is known.
func Compile(src string) (*Predicate, error) {
	env, err := cel.NewEnv(cel.Variable("value", cel.DynType), cel.Variable("key", cel.StringType), cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("topic", cel.StringType), cel.Variable("partition", cel.IntType), cel.Variable("offset", cel.IntType), cel.Variable("timestamp", cel.IntType))
	if err != nil {
		return nil, fmt.Errorf("making the environment of expressions: %w", err)
	}
	checked, issues := env.Compile(src)
	if issues.Err() != nil {
		e := issues.Errors()[0]
		return nil, &SyntaxError{e.Location.Line(), e.Location.Column() + 1, plainly(e.Message)}
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("the expression gives %s, not true or false", t)}
	}
	prg, err := env.Program(checked, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("compiling the expression: %w", err)
	}
	p := &Predicate{src: src, prg: prg, vars: map[string]any{}, depth: DefaultDepth}
	p.fields, p.usesV = selected(checked.NativeRep())
	return p, nil
}

// tree holds the fields of value that an expression selects: a nil branch is wanted as a whole.
type tree map[string]tree

func (t tree) add(path []string) {
	branch, known := t[path[0]]
	switch {
	case len(path) == 1:
		t[path[0]] = nil
	case known && branch == nil: // wanted as a whole already
	case !known:
		branch = tree{}
		t[path[0]] = branch
		branch.add(path[1:])
	default:
		branch.add(path[1:])
	}
}

// selected finds the fields of value that an expression selects, so that only those are decoded; nil if it uses value
// otherwise than by selecting a field.
func selected(a *ast.AST) (fields tree, uses bool) {
	fields = tree{}
	whole, inner := false, map[int64]bool{}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.IdentKind && e.AsIdent() == "value":
			uses = true
			whole = whole || !inner[e.ID()]
		case e.Kind() == ast.SelectKind && !inner[e.ID()]:
			if path := chain(e, inner); path != nil {
				fields.add(path)
			}
		}
	}))
	if whole {
		return nil, uses
	}
	return fields, uses
}

// chain returns a, b for value.a.b, and notes its operands as inner; nil for any other selection.
func chain(e ast.Expr, inner map[int64]bool) []string {
	var path []string
	var ids []int64
	for e.Kind() == ast.SelectKind {
		path = append(path, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
		ids = append(ids, e.ID())
	}
	if e.Kind() != ast.IdentKind || e.AsIdent() != "value" {
		return nil
	}
	for _, id := range ids {
		inner[id] = true
	}
	slices.Reverse(path)
	return path
}

// Within sets how deep a value may nest.
func (p *Predicate) Within(depth int) *Predicate {
	p.depth = depth
	return p
}

// Among makes the expression one of those that w gathers.
func (p *Predicate) Among(w *Wants) *Predicate {
	p.wants, p.slots = w, nil
	slots := map[string]int{}
	for name := range p.fields {
		slot := w.slot(name)
		if slot < 0 {
			return p
		}
		slots[name] = slot
	}
	if p.fields != nil {
		p.slots = slots
	}
	return p
}

// UsesValue says whether the expression looks into the value of a record.
func (p *Predicate) UsesValue() bool { return p.usesV }

func (p *Predicate) String() string { return p.src }

// Match evaluates the expression. An error is the record's fault: its value is not JSON, a field is missing or of another
// kind than the expression takes it for, or the expression costs too much on it.
func (p *Predicate) Match(r *stream.Record) (bool, error) {
	clear(p.vars)
	if p.usesV {
		v, err := p.value(r)
		if err != nil {
			return false, err
		}
		p.vars["value"] = v
	}
	p.vars["key"], p.vars["topic"] = string(r.Key), r.Origin.Topic
	p.vars["partition"], p.vars["offset"], p.vars["timestamp"] = int64(r.Origin.ID), r.Origin.Offset, r.Timestamp
	if strings.Contains(p.src, "headers") {
		hs := make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			hs[h.Key] = string(h.Value)
		}
		p.vars["headers"] = hs
	}
	out, _, err := p.prg.Eval(p.vars)
	if err != nil {
		return false, decodeErrorf("the expression %q: %v", p.src, err)
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, decodeErrorf("the expression %q gives %s, not true or false", p.src, out.Type().TypeName())
	}
	return b, nil
}

func (p *Predicate) value(r *stream.Record) (any, error) {
	if err := validate(r, p.depth, p.wants); err != nil {
		return nil, err
	}
	if p.slots != nil && r.JSON == stream.JSONLocated {
		m := make(map[string]any, len(p.slots))
		for name, slot := range p.slots {
			if at := r.Places[slot]; !at.Missing() {
				m[name] = decode(gjson.ParseBytes(r.Value[at.From:at.To]), p.fields[name])
			}
		}
		return m, nil
	}
	return decode(gjson.ParseBytes(r.Value), p.fields), nil
}

// decode makes the wanted fields of v; everything, if want is nil. The first of two fields of one name counts,
// as it does for paths and in a whole value.
func decode(v gjson.Result, want tree) any {
	if want == nil || !v.IsObject() {
		return v.Value()
	}
	m := make(map[string]any, len(want))
	v.ForEach(func(name, field gjson.Result) bool {
		branch, wanted := want[name.Str]
		if _, twice := m[name.Str]; wanted && !twice {
			m[name.Str] = decode(field, branch)
		}
		return true
	})
	return m
}
