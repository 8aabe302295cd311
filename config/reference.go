package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Setting is one thing that may be written, as people ask for it.
type Setting struct {
	Path    string `json:"path"`
	About   string `json:"about"`
	Kind    string `json:"kind"`
	Default string `json:"default,omitempty"`
	Needed  bool   `json:"needed,omitempty"`
}

// Settings are all that may be written, in the order of the reference.
func Settings() (list []Setting) {
	walk(grammar(), "", func(p place) {
		list = append(list, Setting{Path: p.path, About: p.doc, Kind: p.value.sentence(true), Default: cmp.Or(p.value.def, p.value.otherwise), Needed: p.need != ""})
	})
	return list
}

// Explain finds settings by path, or by its end: pipelines.NAME.steps[].dedup.window, steps.dedup.window, or window.
// Names and positions may be those of a file.
func Explain(path string) ([]Setting, error) {
	var found []Setting
	var ends []string
	want := segments(path)
	for _, s := range Settings() {
		have := segments(s.Path)
		if fits(have, want) {
			found = append(found, s)
		}
		ends = append(ends, have[len(have)-1])
	}
	if len(found) > 0 {
		return found, nil
	}
	if len(want) == 0 {
		return nil, errors.New("name a setting, such as steps.dedup.window")
	}
	slices.Sort(ends)
	hint := meant(want[len(want)-1], slices.Compact(ends))
	if !strings.HasPrefix(hint, "did") {
		hint = "docs/reference/configuration.md has them all"
	}
	return nil, fmt.Errorf("there is no setting %s (%s)", path, hint)
}

// segments of a path, without positions in lists.
func segments(path string) []string {
	var list []string
	for _, s := range strings.Split(path, ".") {
		if s, _, _ = strings.Cut(s, "["); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// fits says that want is the end of have, or have is all of want with names filled in. Names may be left out.
func fits(have, want []string) bool {
	if len(want) == 0 {
		return false
	}
	h, w := len(have)-1, len(want)-1
	for ; w >= 0; h-- {
		switch {
		case h < 0:
			return false
		case have[h] == want[w]:
			w--
		case have[h] != anyName || w == len(want)-1:
			return false
		case h > 0 && w > 0 && have[h-1] == want[w-1] && have[h-1] != anyName: // a name of the file
			w--
		}
	}
	return true
}

func (s Setting) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n  %s\n", s.Path, s.About, s.Kind)
	switch {
	case s.Needed:
		b.WriteString("  must be written\n")
	case s.Default != "":
		fmt.Fprintf(&b, "  default: %s\n", s.Default)
	}
	return b.String()
}

const preface = `# Configuration reference

<!-- Generated from the tables of settings in config/; go test ./config -update writes it. -->

All that may be written in a configuration. ` + "`streamproc schema PATH`" + ` explains one setting, ` + "`streamproc schema`" + ` prints the JSON
Schema for editors: begin a file with ` + "`# yaml-language-server: $schema=…/streamproc.schema.json`" + `. Unknown keys, keys that are
there twice and values of the wrong kind are errors; all errors are told at once, with line and column.

## How values are written

| kind | written |
|---|---|
| duration | ` + "`250ms` `5s` `24h` `7d` `1h30m`" + `; a unit is needed, fractions and signs are refused |
| size | ` + "`64KiB` `16MiB` `1GiB`; `16MB`" + ` is 16,000,000 bytes |
| count | ` + "`8` `10_000` `20k` `5M`" + ` |
| field of a record | ` + "`$.user.id` `$.lines[0].sku`" + ` in a JSON value, ` + "`header:NAME` `key` `topic` `timestamp`" + ` |
| expression | [CEL](https://cel.dev) over ` + "`value key headers topic partition offset timestamp`" + `, true or false |

` + "`${VAR}`, `${VAR:-default}`, `${VAR:?message}`" + ` stand for variables of the environment, ` + "`$${`" + ` for a literal ` + "`${`" + `, and
` + "`${file:PATH}`" + `, as the whole value, for the content of a file, whose path is relative to the file that names it. They are
replaced in values, once, after the YAML was read: what they hold cannot add structure.

Several ` + "`-c`" + `, or a folder of ` + "`*.yaml`" + `, make one configuration: names are merged, the same name twice is an error. Limits: 4 MiB a
file, 64 levels, 10,000 nodes once aliases are expanded.
`

// Reference is the documentation of all settings, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(preface)
	w := &referenceWriter{Builder: &b, first: map[string]string{}}
	w.sections(grammar(), "", "")
	return []byte(b.String())
}

// referenceWriter writes one section for each mapping. What has been said is referred to.
type referenceWriter struct {
	*strings.Builder
	first map[string]string // the section that has a table
}

// sections writes the table of a mapping, and after it those of the mappings in it.
func (w *referenceWriter) sections(v value, path, about string) {
	switch {
	case v.item != nil && v.named:
		w.sections(v.item(), path+"."+anyName, about)
		return
	case v.item != nil:
		w.sections(v.item(), path+"[]", about)
		return
	case v.fields == nil:
		return
	}
	title := cmp.Or(path, "The whole")
	fmt.Fprintf(w.Builder, "\n## %s\n\n", title)
	if about != "" {
		w.WriteString(about + "\n\n")
	}
	table := tableOf(v)
	if first, there := w.first[table]; there {
		fmt.Fprintf(w.Builder, "As [%s](#%s).\n", first, headingLink(first))
		return
	}
	w.first[table] = title
	w.WriteString(table)
	for _, s := range v.fields() {
		if !s.value.withheld {
			w.sections(s.value, strings.TrimPrefix(path+"."+s.name, "."), s.doc)
		}
	}
}

func tableOf(v value) string {
	var b strings.Builder
	if len(v.only) > 0 {
		fmt.Fprintf(&b, "Exactly one of %s is written.\n\n", joined(v.only, "and"))
	}
	b.WriteString("| setting | value | default | |\n|---|---|---|---|\n")
	for _, s := range v.fields() {
		if s.value.withheld {
			continue
		}
		def := s.value.otherwise
		switch {
		case s.need != "":
			def = "must be written"
		case s.value.def != "":
			def = "`" + s.value.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, cell(s.value.sentence(false)), def, s.doc)
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// headingLink is what a heading is called in a link.
func headingLink(heading string) string {
	return strings.NewReplacer(".", "", "[", "", "]", "", " ", "-").Replace(strings.ToLower(heading))
}
