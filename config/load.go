package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
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
}

// Load reads, checks and resolves a configuration. An error about the configuration is an Errors with everything that is
// wrong.
func Load(o Options) (*Config, error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	files, err := expand(o.Paths)
	if err != nil {
		return nil, err
	}
	var errs Errors
	b := newBuilder(&errs)
	for _, f := range files {
		if root := parse(f, o.LookupEnv, &errs); root != nil {
			b.files = append(b.files, *root)
		}
	}
	cfg := b.build()
	if len(errs) > 0 {
		return nil, errs.sorted()
	}
	return cfg, nil
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

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// parse reads one file into nodes with interpolated values, or adds to errs why not.
func parse(file string, lookup func(string) (string, bool), errs *Errors) *at {
	f, err := os.Open(file)
	if err != nil {
		*errs = append(*errs, Problem{File: file, Line: 1, Column: 1, Message: err.Error()})
		return nil
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		*errs = append(*errs, Problem{File: file, Line: 1, Column: 1, Message: err.Error()})
		return nil
	case len(content) > maxFileBytes:
		*errs = append(*errs, Problem{File: file, Line: 1, Column: 1, Message: "the file is over 4 MiB"})
		return nil
	}
	r := &reader{file: file, lines: strings.Split(string(content), "\n"), lookup: lookup, errs: errs}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		p := Problem{File: file, Line: 1, Column: 1, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			_, _ = fmt.Sscan(m[1], &p.Line)
			p.Message = m[2]
			if p.Line <= len(r.lines) {
				p.source = r.lines[p.Line-1]
			}
		}
		*errs = append(*errs, p)
		return nil
	}
	if len(doc.Content) == 0 {
		*errs = append(*errs, Problem{File: file, Line: 1, Column: 1, Message: "the file is empty"})
		return nil
	}
	root := at{r, doc.Content[0], ""}
	if !r.expandAliases(root.node, 0, false) {
		root.fail("", "the file nests deeper than %d, or holds more than %d nodes once aliases are expanded", maxDepth, maxNodes)
		return nil
	}
	r.interpolate(root.node, "")
	return &root
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
