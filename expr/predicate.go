package expr

import (
	"fmt"
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
	fields []string // top-level fields of value that the expression selects; nil: it uses value as a whole
	usesV  bool
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
		return nil, &SyntaxError{e.Location.Line(), e.Location.Column() + 1, e.Message}
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("the expression gives %s, not true or false", t)}
	}
	prg, err := env.Program(checked, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("compiling the expression: %w", err)
	}
	p := &Predicate{src: src, prg: prg, vars: map[string]any{}}
	p.fields, p.usesV = selected(checked.NativeRep())
	return p, nil
}

// selected finds the fields of value that an expression selects, so that only those are decoded; nil if it uses value
// otherwise than by selecting a field.
func selected(a *ast.AST) (fields []string, uses bool) {
	whole := false
	selects := map[int64]bool{}
	seen := map[string]bool{}
	visitor := ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind && e.AsSelect().Operand().AsIdent() == "value" {
			selects[e.AsSelect().Operand().ID()] = true
			seen[e.AsSelect().FieldName()] = true
		}
	})
	ast.PreOrderVisit(a.Expr(), visitor)
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == "value" {
			uses = true
			whole = whole || !selects[e.ID()]
		}
	}))
	if whole {
		return nil, uses
	}
	fields = []string{}
	for f := range seen {
		fields = append(fields, f)
	}
	return fields, uses
}

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
	if err := validate(r); err != nil {
		return nil, err
	}
	doc := gjson.ParseBytes(r.Value)
	if p.fields == nil || !doc.IsObject() {
		return doc.Value(), nil
	}
	m := make(map[string]any, len(p.fields))
	doc.ForEach(func(k, v gjson.Result) bool {
		for _, f := range p.fields {
			if k.Str == f {
				m[f] = v.Value()
			}
		}
		return true
	})
	return m, nil
}
