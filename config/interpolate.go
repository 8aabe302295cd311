package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"gopkg.in/yaml.v3"
)

// maxValueBytes bounds a value that a file holds: it is a password, not a library.
const maxValueBytes = 64 << 10

// variable matches ${VAR}, ${VAR:-default}, ${VAR:?message} and $${; only with braces.
var variable = regexp.MustCompile(`(?i)\$(?:(?P<escaped>\$)(?P<dummy>)|{(?:(?P<braced>[_a-z][_a-z0-9]*(?::?[-+?](.*))?)}|(?P<invalid>)))`)

var wholeFile = regexp.MustCompile(`^\$\{file:(.+)\}$`)

// interpolate replaces references in every scalar value below n, once, never in keys.
func (r *reader) interpolate(a at) {
	n := a.node
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.interpolate(at{r, n.Content[i+1], n.Content[i], strings.TrimPrefix(a.path+"."+n.Content[i].Value, ".")})
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.interpolate(at{r, c, nil, fmt.Sprintf("%s[%d]", a.path, i)})
		}
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "${") {
			r.scalar(a)
		}
	}
}

func (r *reader) scalar(a at) {
	if m := wholeFile.FindStringSubmatch(a.node.Value); m != nil {
		name := a.relative(r.substitute(a, m[1]))
		content, err := readBounded(name, maxValueBytes)
		if r.broken[a.node] {
			return
		}
		if err != nil {
			r.broken[a.node] = true
			a.fail(unknownVariable, "the path is relative to this file", "reading the file that the value names: %v", err)
			return
		}
		r.interpolated[a.node], r.files[a.node] = true, name
		a.node.Value, a.node.Tag, a.node.Style = strings.TrimSuffix(content, "\n"), "!!str", yaml.DoubleQuotedStyle
		return
	}
	before := a.node.Value
	a.node.Value = r.substitute(a, before)
	r.interpolated[a.node] = a.node.Value != strings.ReplaceAll(before, "$${", "${")
	if a.node.Style == 0 {
		a.node.Tag = ""
	}
}

func (r *reader) substitute(a at, s string) string {
	undefined := false
	out, err := template.SubstituteWithOptions(strings.ReplaceAll(s, "$${", "\x00"), func(name string) (string, bool) {
		v, ok := r.lookup(name)
		if !ok && !strings.Contains(s, "${"+name+":") && !strings.Contains(s, "${"+name+"-") {
			undefined = true
			a.fail(unknownVariable, "set it, or give a default: ${"+name+":-…}", "the environment has no %s", name)
		}
		return v, ok
	}, template.WithPattern(variable), template.WithoutLogging)
	var missing *template.MissingRequiredError
	switch {
	case undefined:
		r.broken[a.node] = true
		return s
	case errors.As(err, &missing):
		r.broken[a.node] = true
		a.fail(unknownVariable, "set it", "%s: %s", missing.Variable, missing.Reason)
		return s
	case err != nil || strings.Contains(out, "${") && !strings.Contains(s, "$${"):
		r.broken[a.node] = true
		a.fail(unknownVariable, "write ${NAME}, ${NAME:-default}, ${NAME:?message} or, as the whole value, ${file:PATH}; $${ stands for a literal ${", "the reference cannot be read")
		return s
	}
	return strings.ReplaceAll(out, "\x00", "${")
}
