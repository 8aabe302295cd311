package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
	"github.com/streamproc/streamproc/expr"
	"gopkg.in/yaml.v3"
)

// reader walks the nodes of one file and collects every problem.
type reader struct {
	file   string
	lines  []string
	lookup func(string) (string, bool)
	errs   *Errors
	nodes  int
}

// at is a node and where it stands.
type at struct {
	r    *reader
	node *yaml.Node
	path string
}

func (a at) fail(hint, format string, args ...any) {
	line := ""
	if a.node.Line > 0 && a.node.Line <= len(a.r.lines) {
		line = a.r.lines[a.node.Line-1]
	}
	width := len(a.node.Value)
	if a.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		width += 2
	}
	*a.r.errs = append(*a.r.errs, Problem{a.r.file, a.node.Line, a.node.Column, a.path, fmt.Sprintf(format, args...), hint, line, width})
}

func (a at) child(n *yaml.Node, name string) at {
	path := name
	if a.path != "" {
		path = a.path + "." + name
	}
	return at{a.r, n, path}
}

// fields says what an object may hold, and who reads it.
type fields map[string]func(at)

// object reads a mapping; it says whether it was one.
func (a at) object(known fields) bool {
	return a.each(func(name string, key, value at) {
		if read, ok := known[name]; ok {
			read(value)
			return
		}
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		key.fail(meant(name, names), "unknown key")
	})
}

// each visits the entries of a mapping in order.
func (a at) each(visit func(name string, key, value at)) bool {
	if a.node.Kind != yaml.MappingNode {
		a.fail("", "want a mapping of names to values, not %s", kind(a.node))
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(a.node.Content); i += 2 {
		k, v := a.node.Content[i], a.node.Content[i+1]
		key := a.child(k, k.Value)
		if seen[k.Value] {
			key.fail("", "the key is there twice")
			continue
		}
		seen[k.Value] = true
		visit(k.Value, key, a.child(v, k.Value))
	}
	return true
}

// list visits the items of a sequence.
func (a at) list(visit func(at)) {
	if a.node.Kind != yaml.SequenceNode {
		a.fail("", "want a list, not %s", kind(a.node))
		return
	}
	for i, n := range a.node.Content {
		visit(at{a.r, n, fmt.Sprintf("%s[%d]", a.path, i)})
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// text reads a scalar after interpolation.
func (a at) text() string {
	if a.node.Kind != yaml.ScalarNode {
		a.fail("", "want a single value, not %s", kind(a.node))
		return ""
	}
	return a.node.Value
}

// interpolation: ${VAR}, ${VAR:-default}, ${VAR:?message} and $${; only with braces.
var variable = regexp.MustCompile(`(?i)\$(?:(?P<escaped>\$)(?P<dummy>)|{(?:(?P<braced>[_a-z][_a-z0-9]*(?::?[-+?](.*))?)}|(?P<invalid>)))`)

var wholeFile = regexp.MustCompile(`^\$\{file:(.+)\}$`)

// interpolate replaces references in every scalar value below n, once, never in keys.
func (r *reader) interpolate(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.interpolate(n.Content[i+1], strings.TrimPrefix(path+"."+n.Content[i].Value, "."))
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, c := range n.Content {
			r.interpolate(c, path)
		}
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "${") {
			r.scalar(at{r, n, path})
		}
	}
}

func (r *reader) scalar(a at) {
	if m := wholeFile.FindStringSubmatch(a.node.Value); m != nil {
		name := r.substitute(a, m[1])
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(r.file), name)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			a.fail("", "reading the file that the value names: %v", err)
			return
		}
		a.node.Value, a.node.Tag, a.node.Style = strings.TrimSuffix(string(content), "\n"), "!!str", yaml.DoubleQuotedStyle
		return
	}
	a.node.Value = r.substitute(a, a.node.Value)
	if a.node.Style == 0 {
		a.node.Tag = ""
	}
}

func (r *reader) substitute(a at, s string) string {
	out, err := template.SubstituteWithOptions(strings.ReplaceAll(s, "$${", "\x00"), func(name string) (string, bool) {
		v, ok := r.lookup(name)
		if !ok && !strings.Contains(s, "${"+name+":") && !strings.Contains(s, "${"+name+"-") {
			a.fail("set it, or give a default: ${"+name+":-…}", "the environment has no %s", name)
		}
		return v, ok
	}, template.WithPattern(variable), template.WithoutLogging)
	var missing *template.MissingRequiredError
	switch {
	case errors.As(err, &missing):
		a.fail("", "%s: %s", missing.Variable, missing.Reason)
		return s
	case err != nil || strings.Contains(out, "${") && !strings.Contains(s, "$${"):
		a.fail("write ${NAME}, ${NAME:-default} or ${NAME:?message}; $${ stands for a literal ${", "the reference cannot be read")
		return s
	}
	return strings.ReplaceAll(out, "\x00", "${")
}

func (a at) oneOf(words ...string) string {
	v := a.text()
	for _, w := range words {
		if v == w {
			return v
		}
	}
	if a.node.Kind == yaml.ScalarNode {
		a.fail("use "+strings.Join(words[:len(words)-1], ", ")+" or "+words[len(words)-1], "unknown value %q", v)
	}
	return words[0]
}

func (a at) duration(least, most time.Duration) time.Duration {
	v := a.text()
	d, err := model.ParseDuration(v)
	switch {
	case err != nil || v == "0":
		a.fail("write 250ms, 5s, 24h, 7d or 1h30m", "%q is no duration", v)
		return least
	case time.Duration(d) < least || time.Duration(d) > most:
		a.fail("", "%s is out of the range of %v to %v", v, least, most)
	}
	return time.Duration(d)
}

func (a at) bytes(least, most int64) int64 {
	v := a.text()
	n, err := humanize.ParseBytes(v)
	_, bare := strconv.ParseUint(v, 10, 64)
	switch {
	case err != nil || bare == nil:
		a.fail("write 64KiB, 16MiB or 1GiB; 16MB is 16,000,000", "%q is no size", v)
		return least
	case int64(min(n, math.MaxInt64)) < least || int64(min(n, math.MaxInt64)) > most:
		a.fail("", "%s is out of the range of %s to %s", v, humanize.IBytes(uint64(least)), humanize.IBytes(uint64(most)))
	}
	return int64(n)
}

var count = regexp.MustCompile(`^(0|[1-9][0-9_]*)([kM]?)$`)

func (a at) count(least, most int64) int64 {
	v := a.text()
	m := count.FindStringSubmatch(v)
	if m == nil {
		a.fail("write 8, 10_000, 20k or 5M", "%q is no count", v)
		return least
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], "_", ""), 10, 64)
	scale := map[string]int64{"": 1, "k": 1000, "M": 1_000_000}[m[2]]
	if err != nil || n > most/scale || n*scale < least {
		a.fail("", "%s is out of the range of %d to %d", v, least, most)
		return least
	}
	return n * scale
}

func (a at) boolean() bool {
	return a.oneOf("true", "false") == "true"
}

// fieldPath reads a path into a record.
func (a at) fieldPath() string {
	v := a.text()
	if _, err := expr.ParsePath(v); err != nil {
		a.fail("use $.field, header:NAME, key, topic or timestamp", "%v", err)
	}
	return v
}

// predicate reads an expression.
func (a at) predicate() string {
	v := a.text()
	if _, err := expr.Compile(v); err != nil {
		where := a
		var s *expr.SyntaxError
		if errors.As(err, &s) && a.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && s.Line == 1 {
			n := *a.node
			n.Column += s.Column - 1
			if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
				n.Column++
			}
			n.Value, n.Style = "", 0
			where.node = &n
		}
		where.fail("", "the expression is wrong: %v", err)
	}
	return v
}
