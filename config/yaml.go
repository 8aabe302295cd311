package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var yamlLine = regexp.MustCompile(`(?:line (\d+): )?(.*)`)

// remedies are for the messages of the YAML library that help nobody by themselves.
var remedies = []struct{ message, hint string }{
	{"found character that cannot start any token", "quote the value; a tab does not indent, and @ ` % do not begin a plain value"},
	{"mapping values are not allowed in this context", "a value with \": \" in it wants quotes; or the indentation is off"},
	{"did not find expected key", "the indentation is off, or a bracket or quote is open"},
	{"did not find expected '-' indicator", "an item of the list wants \"- \" before it; or the indentation is off"},
	{"did not find expected ',' or ']'", "close the bracket, or separate the items with commas"},
	{"did not find expected ',' or '}'", "close the brace, or separate the entries with commas"},
	{"did not find expected node content", "a value is missing, or a bracket is open"},
	{"could not find expected ':'", "write NAME: VALUE, with a blank after the colon"},
	{"found unexpected end of stream", "a quote is open"},
	{"did not find expected alphabetic or numeric character", "a value that begins with * or & wants quotes"},
	{"an alias names no anchor", "a value that begins with * wants quotes"},
	{"found unknown escape character", "in double quotes write \\\\ for a backslash, or use single quotes"},
	{"found a tab character", "indent with blanks"},
}

// counted from 0 are the lines of these messages, those of others from 1.
var fromZero = regexp.MustCompile(`^did not find expected (node content|key|'|<)`)

var anchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)

// syntax makes a problem of an error of the YAML library, which has a line, most of the time, but no column. It is the line
// where the construct begins that goes wrong.
func (r *reader) syntax(err error) Problem {
	m := yamlLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	line, message := 1, m[2]
	if m[1] != "" {
		_, _ = fmt.Sscan(m[1], &line) // digits
		if fromZero.MatchString(message) {
			line++
		}
	}
	if a := anchor.FindStringSubmatch(message); a != nil {
		line = 1 + slices.IndexFunc(r.lines, func(l string) bool { return strings.Contains(l, "*"+a[1]) })
		message = "an alias names no anchor" // it may stand for a secret
	}
	hint := ""
	for _, x := range remedies {
		if strings.Contains(message, x.message) {
			hint = x.hint
			break
		}
	}
	p := wholeFileProblem(r.file, syntax, "this is no YAML: "+message)
	p.Hint, p.Line = hint, min(max(line, 1), len(r.lines))
	p.source = masked(r.lines[p.Line-1])
	p.Column = utf8.RuneCountInString(p.source) - utf8.RuneCountInString(strings.TrimLeft(p.source, " \t")) + 1
	p.width = utf8.RuneCountInString(strings.TrimSpace(p.source))
	return p
}

// unreadableText finds what no YAML may hold; the library does not say where it is.
func unreadableText(file, content string) *Problem {
	line, column := 1, 1
	for i, c := range content {
		message := ""
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(content[i:], "\uFFFD"):
			message = "this is no UTF-8"
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f:
			message = fmt.Sprintf("there is a control character, %U", c)
		}
		if message != "" {
			p := wholeFileProblem(file, syntax, message)
			p.Line, p.Column = line, column
			return &p
		}
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

// YAML writes v as YAML: what JSON would say, in blocks.
func YAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil { // JSON is YAML
		return nil, err
	}
	unflow(&doc)
	return yaml.Marshal(&doc)
}

// unflow takes away braces, brackets and quotes that are not needed.
func unflow(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		unflow(c)
	}
}
