package config

import (
	"fmt"
	"slices"
	"strings"
)

// A setting is one name that may be written in a mapping. The tables of settings are the grammar: what is read, what is
// refused, the JSON Schema and the reference all come from them.
type setting struct {
	name  string
	doc   string // a sentence or two
	value value
	need  string // the remedy where it is missing; "": it may be
}

// settings are what may be written in one mapping. They are read in this order, whatever the order of the file.
type settings []setting

// value reads what stands behind a name, into the variable that it is bound to. What the variable holds beforehand is the
// default, as in package flag.
type value struct {
	shape
	read func(at)
}

// shape is what can be said of a value without reading one.
type shape struct {
	kind      string          // as the reference names it
	example   string          // how it is written
	def       string          // the default, as it would be written; "": none
	otherwise string          // what holds where nothing is written, in words
	span      string          // the range that is allowed
	words     []string        // what may be written, where that is a choice
	pattern   string          // of the text, as a regular expression
	number    *[2]int64       // a whole number in this range may be written too
	boolean   bool            // true and false may be written too
	any       bool            // everything may
	fields    func() settings // of a mapping
	only      []string        // of these fields exactly one is written
	item      func() value    // of a list, or of a mapping of names
	named     bool            // item is of a mapping of names
	or        *value          // what may be written instead of a mapping
	withheld  bool            // the grammar has it, this version has not
}

func (s settings) names() []string {
	names := make([]string, 0, len(s))
	for _, x := range s {
		if !x.value.withheld {
			names = append(names, x.name)
		}
	}
	return names
}

// read reads a mapping, which may stand in several files: the place of the first is that of the whole.
func (s settings) read(only []string, all ...at) bool {
	written := make([]map[string]entry, len(all))
	var unknown []entry
	for i, a := range all {
		var ok bool
		if written[i], ok = a.entries(); !ok {
			return false
		}
		for _, e := range inOrder(written[i]) {
			if !slices.ContainsFunc(s, func(x setting) bool { return x.name == e.key.node.Value }) {
				unknown = append(unknown, e)
			}
		}
	}
	var found []string
	var lacking []setting
	for _, x := range s {
		n := 0
		for i := range all {
			if e, ok := written[i][x.name]; ok {
				n++
				x.value.read(e.value)
			}
		}
		switch {
		case n > 0 && x.value.withheld:
			only = nil // it may have been meant for one of them
		case n > 0 && slices.Contains(only, x.name):
			found = append(found, x.name)
		case n == 0 && x.need != "":
			lacking = append(lacking, x)
		}
	}
	s.refuse(unknown, lacking, all[0])
	if len(only) > 0 && len(found) != 1 && len(unknown) == 0 { // what is unknown may have been one of them
		all[0].fail(conflict, "", "exactly one of %s is wanted, here is %s", joined(only, "and"), joined(found, "and"))
	}
	return true
}

// refuse says what is unknown, and what is missing: in one, where the one was meant for the other.
func (s settings) refuse(unknown []entry, lacking []setting, whole at) {
	for _, e := range unknown {
		name := e.key.node.Value
		hint, near := meant(name, s.names()), nearest(name, s.names())
		switch at := slices.IndexFunc(lacking, func(x setting) bool { return x.name == near }); {
		case at >= 0:
			lacking = slices.Delete(lacking, at, at+1)
		case near == "" && len(unknown) == 1 && len(lacking) == 1:
			hint = fmt.Sprintf("%s is missing: %s", lacking[0].name, lacking[0].need)
			lacking = nil
		}
		e.key.fail(unknownKey, hint, "unknown key")
	}
	for _, x := range lacking {
		whole.fail(missing, x.need, "%s is missing", x.name)
	}
}

// joined lists words as a sentence does.
func joined(words []string, last string) string {
	switch n := len(words); n {
	case 0:
		return "none"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " " + last + " " + words[n-1]
	}
}

// object is a mapping with fixed names.
func object(fields func() settings) value {
	return value{shape{kind: "mapping", fields: fields}, func(a at) { fields().read(nil, a) }}
}

// one is an object of which exactly one of the fields named is written.
func one(of []string, fields func() settings) value {
	return value{shape{kind: "mapping", fields: fields, only: of}, func(a at) { fields().read(of, a) }}
}

// then does something after a value was read, such as looking at it as a whole.
func (v value) then(check func(at)) value {
	read := v.read
	v.read = func(a at) { read(a); check(a) }
	return v
}

// unset says what holds where nothing is written and no variable tells.
func (v value) unset(means string) value {
	v.otherwise = means
	return v
}

// because adds the reason to a range.
func (v value) because(reason string) value {
	read := v.read
	v.read = func(a at) {
		n := len(a.r.problems)
		read(a)
		for i := n; i < len(a.r.problems); i++ {
			if a.r.problems[i].Code == outOfRange {
				a.r.problems[i].Hint = reason
			}
		}
	}
	return v
}

// orElse reads what is no mapping with another value.
func (v value) orElse(other value) value {
	read := v.read
	if !other.withheld {
		v.or = &other
	}
	v.read = func(a at) {
		if a.isMapping() {
			read(a)
			return
		}
		other.read(a)
	}
	return v
}

// list is a list whose items are read one by one; item gives the value for the next.
func list(item func() value) value {
	return value{shape{kind: "list", item: item}, func(a at) {
		a.each(func(a at) { item().read(a) })
	}}
}

// maxNames bounds what is named in one place, over all files.
const maxNames = 1000

// named is a mapping from names that people choose. taken holds them: all files share them.
func named(taken map[string]at, item func(name string) value) value {
	return value{shape{kind: "mapping of names", named: true, item: func() value { return item(anyName) }}, func(a at) {
		entries, _ := a.entries()
		for _, e := range inOrder(entries) {
			name := e.key.node.Value
			checkName(e.key, name)
			if len(taken) == maxNames {
				e.key.fail(tooLarge, "", "there are more than %d names", maxNames)
				return
			}
			if first, there := taken[name]; there {
				e.key.fail(twice, "give it another name", "%s is there twice, first in line %d of %s", name, first.node.Line, first.r.file)
				continue
			}
			taken[name] = e.key
			item(name).read(e.value)
		}
	}}
}

// later stands for what the grammar has and this version has not: nothing is ignored in silence.
func later() value {
	return value{shape{kind: "not available", withheld: true}, func(a at) {
		a.fail(notAvailable, "leave it out", "it is not available in this version")
	}}
}

// elsewhere stands for settings that belong to another mapping, where they are looked for here.
func elsewhere(remedy string, names ...string) (list settings) {
	for _, name := range names {
		list = append(list, setting{name: name, value: value{shape{kind: "not here", withheld: true}, func(a at) {
			at{a.r, a.key, nil, a.path}.fail(unknownKey, remedy, "it does not stand here")
		}}})
	}
	return list
}

// anyName stands in paths for a name that people choose.
const anyName = "NAME"

// place is a setting and the path to it.
type place struct {
	path string
	setting
}

// walk visits every setting of the grammar below a value, with its path.
func walk(v value, path string, visit func(place)) {
	switch {
	case v.fields != nil:
		for _, s := range v.fields() {
			if s.value.withheld {
				continue
			}
			p := strings.TrimPrefix(path+"."+s.name, ".")
			visit(place{p, s})
			walk(s.value, p, visit)
		}
	case v.item != nil && v.named:
		walk(v.item(), path+"."+anyName, visit)
	case v.item != nil:
		walk(v.item(), path+"[]", visit)
	}
}

// grammar is everything that may be written.
func grammar() value {
	b := newBuilder(&loading{lookup: func(string) (string, bool) { return "", false }})
	return object(b.settings)
}

// sentence says what a value may be; full adds how such values are written.
func (s shape) sentence(full bool) string {
	var b strings.Builder
	b.WriteString(s.kind)
	switch {
	case len(s.words) > 0:
		b.WriteString(": " + strings.Join(s.words, ", "))
	case s.example != "" && full:
		b.WriteString(", such as " + s.example)
	case s.fields != nil && full:
		b.WriteString(" of " + strings.Join(s.fields().names(), ", "))
	}
	if s.or != nil {
		b.WriteString(", or " + s.or.sentence(full))
	}
	if s.item != nil && !s.named && s.item().fields == nil {
		b.WriteString(" of " + s.item().sentence(full))
	}
	switch {
	case s.span != "" && full:
		b.WriteString("; " + s.span)
	case s.span != "":
		b.WriteString(", " + s.span)
	}
	return b.String()
}
