package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	l := &loading{lookup: o.LookupEnv, set: map[string]at{}, given: map[*yaml.Node]string{}, places: map[any]at{}}
	var files []at
	for _, name := range l.expand(o.Paths) {
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
	if !l.problems.Invalid() {
		b.checkCycles()
		b.cut()
	}
	if l.problems.Invalid() {
		return nil, l.problems.sorted()
	}
	b.cfg.Warnings, b.cfg.places = l.problems.sorted(), l.places
	return b.cfg, nil
}

// Files lists the files that Load reads for paths: those that are there now.
func Files(paths []string) (files []string) {
	for _, p := range paths {
		if found, err := yamlFiles(p); err == nil {
			files = append(files, found...)
			continue
		}
		files = append(files, p)
	}
	return files
}

// expand lists the files of folders in their place.
func (l *loading) expand(paths []string) (files []string) {
	for _, p := range paths {
		found, err := yamlFiles(p)
		if err != nil {
			problem := wholeFileProblem(p, unreadable, "it cannot be read: "+cause(err))
			problem.Hint = "name the configuration with -c FILE, or -c FOLDER"
			l.problems = append(l.problems, problem)
			continue
		}
		files = append(files, found...)
	}
	return files
}

// yamlFiles are a file itself, or the *.yaml of a folder by name.
func yamlFiles(path string) (files []string, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".yaml") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if err == nil && len(files) == 0 {
		err = errors.New("the folder holds no *.yaml")
	}
	return files, err
}

// cause is an error of the system without the path, which is told already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// parse reads one file into nodes, or notes why not.
func (l *loading) parse(file string) *at {
	content, err := readBounded(file, maxFileBytes)
	if err != nil {
		l.problems = append(l.problems, wholeFileProblem(file, unreadable, "it cannot be read: "+cause(err)))
		return nil
	}
	if p := unreadableText(file, content); p != nil {
		l.problems = append(l.problems, *p)
		return nil
	}
	r := &reader{loading: l, file: file, lines: strings.Split(content, "\n"), interpolated: map[*yaml.Node]bool{}, broken: map[*yaml.Node]bool{}, files: map[*yaml.Node]string{}}
	var doc, more yaml.Node
	d := yaml.NewDecoder(strings.NewReader(content))
	err = d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		empty := wholeFileProblem(file, missing, "the file is empty")
		empty.Hint = "begin with version: 1"
		l.problems = append(l.problems, empty)
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
