package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// code names a sort of problem for programs. It does not change.
type code string

const (
	unreadable      code = "unreadable"       // the file cannot be read
	syntax          code = "syntax"           // the file is no YAML
	tooLarge        code = "too-large"        // the file is beyond a limit
	unknownKey      code = "unknown-key"      // no such setting
	twice           code = "twice"            // a name or a setting is there twice
	missing         code = "missing"          // something must be written, and is not
	wrongKind       code = "wrong-kind"       // a value of another kind
	outOfRange      code = "out-of-range"     // a value of the right kind, too small or too large
	unknownWord     code = "unknown-word"     // none of the words that may stand here
	unknownName     code = "unknown-name"     // a name that is not defined
	unknownVariable code = "unknown-variable" // a variable or file for a value that is not there
	wrongField      code = "wrong-field"      // a path into records that cannot be read
	wrongExpression code = "wrong-expression" // an expression that does not compile
	conflict        code = "conflict"         // settings that do not go together
	notAvailable    code = "not-available"    // this version does not have it
)

type severity string

const (
	severityError   severity = "error"
	severityWarning severity = "warning"
)

// Problem is one thing wrong with a configuration, and where.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Path     string   `json:"path"`
	Code     code     `json:"code"`
	Severity severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	source   string   // the line
	width    int      // of what is wrong, for the caret
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Column, p.Sentence())
	if p.source != "" {
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^%s", p.Line, p.source, p.pad(), strings.Repeat("~", p.tail()))
	}
	return b.String()
}

// Sentence is the problem without its place in a file.
func (p Problem) Sentence() string {
	var b strings.Builder
	if p.Severity == severityWarning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// secretInLine finds what stands behind a name that is one of a secret.
var secretInLine = regexp.MustCompile(`(?i)(pass|token|secret|credential)([a-z_]*["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s,}\]][^,}\]]*)`)

// masked is a line of a file to show: a secret that stands in it is not.
func masked(line string) string {
	return secretInLine.ReplaceAllStringFunc(line, func(found string) string {
		m := secretInLine.FindStringSubmatch(found)
		if strings.Contains(m[3], "${") {
			return found
		}
		return m[1] + m[2] + strings.Repeat("*", utf8.RuneCountInString(m[3]))
	})
}

// pad brings the caret below what is wrong: tabs stay tabs, whatever their width.
func (p Problem) pad() string {
	var b strings.Builder
	for i, r := range []rune(p.source) {
		if i >= p.Column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tail is how long the caret's tail is: at most to the end of the line.
func (p Problem) tail() int {
	return max(min(p.width, len([]rune(p.source))-p.Column+1)-1, 0)
}

// Problems are all those of a configuration, in the order of the files. As an error they say that it cannot be used.
type Problems []Problem

func (e Problems) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// JSON renders the problems for programs, one object a line.
func (e Problems) JSON() string {
	var b strings.Builder
	for _, p := range e {
		line, _ := json.Marshal(p) // plain strings and numbers
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// GitHub renders the problems as annotations of a pull request.
func (e Problems) GitHub() string {
	var b strings.Builder
	for _, p := range e {
		message := p.Message
		if p.Path != "" {
			message = p.Path + ": " + message
		}
		if p.Hint != "" {
			message += " (" + p.Hint + ")"
		}
		data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
		property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d::%s\n", p.Severity, property.Replace(p.File), p.Line, p.Column, data.Replace(message))
	}
	return b.String()
}

// Invalid says that there is more than warnings.
func (e Problems) Invalid() bool {
	return slices.ContainsFunc(e, func(p Problem) bool { return p.Severity == severityError })
}

func (e Problems) sorted() Problems {
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}

// meant finds what a word may have been meant to be.
func meant(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(k)); d < min(least, max(len(k), 2)) {
			best, least = k, d
		}
	}
	if best == "" {
		return "use " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	}
	return fmt.Sprintf("did you mean %q?", best)
}
