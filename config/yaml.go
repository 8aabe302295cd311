package config

import (
	"fmt"
	"regexp"
	"strings"
)

var yamlLine = regexp.MustCompile(`(?:line (\d+): )?(.*)`)

// remedies are for the messages of the YAML library that help nobody by themselves.
var remedies = []struct{ message, hint string }{
	{"found character that cannot start any token", "quote the value; a tab does not indent, and @ ` % do not begin a plain value"},
	{"mapping values are not allowed in this context", "a value with \": \" in it wants quotes; or the indentation is off"},
	{"did not find expected key", "the indentation is off, or a bracket or quote is open"},
	{"did not find expected ',' or ']'", "close the bracket, or separate the items with commas"},
	{"did not find expected ',' or '}'", "close the brace, or separate the entries with commas"},
	{"did not find expected node content", "a value is missing, or a bracket is open"},
	{"could not find expected ':'", "write NAME: VALUE, with a blank after the colon"},
	{"found unexpected end of stream", "a quote is open"},
	{"did not find expected alphabetic or numeric character", "a value that begins with * or & wants quotes"},
	{"unknown anchor", "a value that begins with * wants quotes"},
	{"found unknown escape character", "in double quotes write \\\\ for a backslash, or use single quotes"},
	{"found a tab character", "indent with blanks"},
}

// syntax makes a problem of an error of the YAML library, which has a line but no column.
func (r *reader) syntax(err error) Problem {
	p := wholeFileProblem(r.file, syntax, "")
	m := yamlLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	p.Message = "this is no YAML: " + m[2]
	if m[1] != "" {
		_, _ = fmt.Sscan(m[1], &p.Line) // digits
	}
	for _, x := range remedies {
		if strings.Contains(m[2], x.message) {
			p.Hint = x.hint
			break
		}
	}
	if p.Line <= len(r.lines) {
		p.source = masked(r.lines[p.Line-1])
		p.Column = len(p.source) - len(strings.TrimLeft(p.source, " \t")) + 1
		p.width = len([]rune(strings.TrimSpace(p.source)))
	}
	return p
}
