package config

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// setFile stands for a file in problems with a value of the command line.
const setFile = "--set"

// override puts PATH=VALUE, as given on the command line, into the file that has most of the path.
func (l *loading) override(files []at, arg string) {
	problem := func(c code, hint, format string, args ...any) {
		p := wholeFileProblem(setFile, c, fmt.Sprintf(format, args...))
		p.Hint, p.source, p.width = hint, masked(arg), len(arg)
		l.problems = append(l.problems, p)
	}
	path, text, ok := strings.Cut(arg, "=")
	if !ok || path == "" {
		problem(syntax, "write --set pipelines.NAME.workers=4", "want PATH=VALUE")
		return
	}
	v, err := valueOf(text)
	if err != nil {
		problem(syntax, "quote it for the shell and for YAML", "the value is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	best, most := files[0], -1
	for _, f := range files {
		if n := f.depth(path); n > most {
			best, most = f, n
		}
	}
	l.mark(v, arg, len(path)+1)
	if hint := best.put(path, v, func(name string) *yaml.Node {
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
		l.mark(n, arg, 0)
		n.Column = strings.Index(path, name) + 1
		return n
	}); hint != "" {
		problem(unknownKey, hint, "there is no %s to set", path)
	}
}

// valueOf reads a value as YAML: lists and mappings may be set too.
func valueOf(text string) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Line: 1, Column: 1}, nil
	}
	return doc.Content[0], nil
}

// mark says that a node and all below come from the command line, behind so many characters of an argument.
func (l *loading) mark(n *yaml.Node, arg string, behind int) {
	l.given[n] = arg
	n.Line, n.Column = 1, n.Column+behind
	for _, c := range n.Content {
		l.mark(c, arg, behind)
	}
}

// descend returns the node that a path leads to next and the rest of the path; nil where there is none.
func descend(n *yaml.Node, path string) (next **yaml.Node, rest string) {
	longest := -1
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i].Value
			if after, ok := strings.CutPrefix(path, k); ok && len(k) > longest && (after == "" || after[0] == '.' || after[0] == '[') {
				next, rest, longest = &n.Content[i+1], strings.TrimPrefix(after, "."), len(k)
			}
		}
	case yaml.SequenceNode:
		index, after, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(index); ok && err == nil && i >= 0 && i < len(n.Content) {
			next, rest = &n.Content[i], strings.TrimPrefix(after, ".")
		}
	}
	return next, rest
}

// depth says how much of a path there is.
func (a at) depth(path string) (n int) {
	for node := a.node; path != ""; n++ {
		next, rest := descend(node, path)
		if next == nil {
			break
		}
		node, path = *next, rest
	}
	return n
}

// put puts v at the end of a path, making mappings that are not there; it returns a hint where that cannot be.
func (a at) put(path string, v *yaml.Node, key func(string) *yaml.Node) string {
	node := &a.node
	for path != "" {
		next, rest := descend(*node, path)
		if next == nil {
			if (*node).Kind != yaml.MappingNode || path[0] == '[' {
				return "a position such as steps[0] must be there"
			}
			name, after, _ := strings.Cut(path, ".")
			if name == "" {
				return "a name is missing"
			}
			(*node).Content = append((*node).Content, key(name), &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1})
			next, rest = &(*node).Content[len((*node).Content)-1], after
		}
		node, path = next, rest
	}
	*node = v
	return ""
}
