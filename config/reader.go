package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// loading is what the files of one configuration share.
type loading struct {
	lookup   func(string) (string, bool)
	problems Problems
	set      map[string]at         // where single values were set, to find those that two files set
	given    map[*yaml.Node]string // the argument of the command line that a node comes from
	places   map[any]at            // where what the Config points to is written
}

// reader walks the nodes of one file.
type reader struct {
	*loading
	file         string
	lines        []string
	nodes        int
	interpolated map[*yaml.Node]bool   // the value comes from the environment or a file
	broken       map[*yaml.Node]bool   // the value cannot be had, and that has been said
	files        map[*yaml.Node]string // the file that the value comes from
}

// at is a node and where it stands.
type at struct {
	r    *reader
	node *yaml.Node
	key  *yaml.Node // the name that it stands behind; nil: it has none
	path string
}

func (a at) fail(c code, hint, format string, args ...any) {
	a.r.problems = append(a.r.problems, a.problem(c, hint, fmt.Sprintf(format, args...)))
}

// problem is one at this place. A mapping or a list is shown by its name.
func (a at) problem(c code, hint, message string) Problem {
	n := a.node
	if n.Kind != yaml.ScalarNode && a.key != nil {
		n = a.key
	}
	p := Problem{File: a.r.file, Line: n.Line, Column: n.Column, Path: a.path, Code: c, Severity: severityError, Message: message, Hint: hint, width: utf8.RuneCountInString(n.Value)}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		p.width += 2
	}
	if a.r.interpolated[n] {
		p.width = 0
	}
	if arg, ok := a.r.given[n]; ok {
		p.File, p.source = setFile, masked(arg)
	} else if n.Line > 0 && n.Line <= len(a.r.lines) {
		p.source = masked(a.r.lines[n.Line-1])
	}
	return p
}

// entry is a name in a mapping and what stands behind it.
type entry struct{ key, value at }

func (a at) isMapping() bool { return a.node.Kind == yaml.MappingNode }

// entries are those of a mapping; it says whether it is one.
func (a at) entries() (map[string]entry, bool) {
	if !a.isMapping() {
		a.fail(wrongKind, "", "want a mapping of names to values, not %s", what(a.node))
		return nil, false
	}
	found := map[string]entry{}
	for i := 0; i+1 < len(a.node.Content); i += 2 {
		k, v := a.node.Content[i], a.node.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			at{a.r, k, nil, a.path}.fail(wrongKind, "", "a name is wanted before the colon, not %s", what(k))
			continue
		}
		path := strings.TrimPrefix(a.path+"."+k.Value, ".")
		e := entry{at{a.r, k, nil, path}, at{a.r, v, k, path}}
		if first, there := found[k.Value]; there {
			e.key.fail(twice, "", "the key is there twice, first in line %d", first.key.node.Line)
			continue
		}
		found[k.Value] = e
	}
	return found, true
}

// inOrder lists entries as they stand in the file.
func inOrder(entries map[string]entry) []entry {
	return slices.SortedFunc(maps.Values(entries), func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key.node.Line, b.key.node.Line), cmp.Compare(a.key.node.Column, b.key.node.Column))
	})
}

// each visits the items of a list.
func (a at) each(visit func(at)) {
	if a.node.Kind != yaml.SequenceNode {
		hint := ""
		if a.node.Kind == yaml.ScalarNode && a.node.Value != "" {
			hint = "write [" + a.node.Value + "]"
		}
		a.fail(wrongKind, hint, "want a list, not %s", what(a.node))
		return
	}
	for i, n := range a.node.Content {
		visit(at{a.r, n, nil, fmt.Sprintf("%s[%d]", a.path, i)})
	}
}

func what(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}

// scalar is a single value; nil: it is none, and that has been said.
func (a at) scalar() *string {
	if a.r.broken[a.node] {
		return nil
	}
	if a.node.Kind != yaml.ScalarNode || a.node.ShortTag() == "!!null" {
		a.fail(wrongKind, "", "want a single value, not %s", what(a.node))
		return nil
	}
	if first, there := a.r.set[a.path]; there && first.r != a.r {
		a.fail(twice, "", "it is set in line %d of %s too", first.node.Line, first.r.file)
	}
	a.r.set[a.path] = a
	return &a.node.Value
}

// text is a single value, or "".
func (a at) text() string {
	if v := a.scalar(); v != nil {
		return *v
	}
	return ""
}

// nonempty is text that must not be empty; where it is, that has been said.
func (a at) nonempty() string {
	v := a.scalar()
	if v == nil {
		return ""
	}
	if *v == "" {
		a.fail(missing, "", "it is empty")
	}
	return *v
}

var nameRE = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)

func checkName(key at, name string) {
	key.warnAmbiguous()
	if !nameRE.MatchString(name) {
		key.fail(wrongKind, "use letters, digits, '.', '_' and '-', at most 100", "%q is no name", name)
	}
}
