package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits of what is read: yaml.v3's own guard against alias bombs does not apply to nodes.
const (
	maxFileBytes = 4 << 20
	maxDepth     = 64
	maxNodes     = 10_000 // after aliases are expanded
)

// Options say what to load.
type Options struct {
	Paths     []string                    // files, or folders of *.yaml read by name
	LookupEnv func(string) (string, bool) // nil: the environment of the process
	Set       []string                    // PATH=VALUE, instead of what the files say; no secrets
}

// Load reads, checks and resolves a configuration. An error about the configuration is a Problems with everything that is
// wrong, warnings included.
func Load(o Options) (*Config, error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	names, err := expand(o.Paths)
	if err != nil {
		return nil, err
	}
	l := &loading{lookup: o.LookupEnv, set: map[string]at{}, given: map[*yaml.Node]string{}}
	var files []at
	for _, name := range names {
		if root := l.parse(name); root != nil {
			files = append(files, *root)
		}
	}
	b := newBuilder(l)
	if len(files) > 0 {
		for _, arg := range o.Set {
			l.override(files, arg)
		}
		for _, f := range files {
			f.r.interpolate(f)
		}
		b.build(files)
	}
	if l.problems.Invalid() {
		return nil, l.problems.sorted()
	}
	b.cfg.Warnings = l.problems.sorted()
	return b.cfg, nil
}

func expand(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		found, err := filepath.Glob(filepath.Join(p, "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s holds no *.yaml", p)
		}
		slices.Sort(found)
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, errors.New("no configuration was named: use -c FILE")
	}
	return files, nil
}

// parse reads one file into nodes, or notes why not.
func (l *loading) parse(file string) *at {
	content, err := readBounded(file, maxFileBytes)
	if err != nil {
		l.problems = append(l.problems, wholeFileProblem(file, unreadable, err.Error()))
		return nil
	}
	r := &reader{loading: l, file: file, lines: strings.Split(content, "\n"), interpolated: map[*yaml.Node]bool{}, files: map[*yaml.Node]string{}}
	var doc, more yaml.Node
	d := yaml.NewDecoder(strings.NewReader(content))
	err = d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		l.problems = append(l.problems, wholeFileProblem(file, missing, "the file is empty"))
		return nil
	case err != nil:
		l.problems = append(l.problems, r.syntax(err))
		return nil
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		if err == nil {
			at{r, more.Content[0], nil, ""}.fail(conflict, "put it into a file of its own", "a second document begins here")
		} else {
			l.problems = append(l.problems, r.syntax(err))
		}
		return nil
	}
	root := at{r, doc.Content[0], nil, ""}
	if !r.expandAliases(root.node, 0, false) {
		root.fail(tooLarge, "", "the file nests deeper than %d, or holds more than %d nodes once aliases are expanded", maxDepth, maxNodes)
		return nil
	}
	return &root
}

func wholeFileProblem(file string, c code, message string) Problem {
	return Problem{File: file, Line: 1, Column: 1, Code: c, Severity: severityError, Message: message}
}

func readBounded(file string, limit int64) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("the file is over %s", writtenSize(limit))
	}
	return string(content), err
}

// expandAliases replaces aliases by copies of what they name; it says whether the limits hold.
// Below an alias, nodes are shared until copied.
func (r *reader) expandAliases(n *yaml.Node, depth int, shared bool) bool {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return false
	}
	if n.Kind == yaml.AliasNode {
		*n = *n.Alias
		n.Anchor, shared = "", true
	}
	if shared { // a node of its own for each use, or interpolation would happen twice
		n.Content = slices.Clone(n.Content)
	}
	for i, c := range n.Content {
		if shared {
			copied := *c
			c, n.Content[i] = &copied, &copied
		}
		if !r.expandAliases(c, depth+1, shared) {
			return false
		}
	}
	return true
}
