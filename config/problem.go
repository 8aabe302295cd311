package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
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
	unusable        code = "unusable"         // what it names cannot be read, is not what is wanted, or does not start
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

func (p Problem) String() string { return p.text(plain) }

// paint is how parts of a problem are coloured on a terminal: what comes before each, and after it.
type paint struct{ place, warning, caret, end string }

var (
	plain    paint
	coloured = paint{place: "\x1b[1m", warning: "\x1b[33m", caret: "\x1b[31m", end: "\x1b[0m"}
)

func (p Problem) text(c paint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s:%d:%d:%s ", c.place, p.File, p.Line, p.Column, c.end)
	if p.Severity == severityWarning {
		b.WriteString(c.warning + "warning:" + c.end + " ")
	}
	b.WriteString(p.Sentence())
	if p.source != "" {
		line, column := window([]rune(printable(p.source)), p.Column)
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s%s^%s%s", p.Line, string(line), pad(line, column), c.caret, strings.Repeat("~", p.tail(line, column)), c.end)
	}
	return b.String()
}

// Sentence names the setting, what is wrong with it, and the remedy.
func (p Problem) Sentence() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return printable(text)
}

// printable is text that cannot control a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}

// secretInLine finds what stands behind a name that is one of a secret.
var secretInLine = regexp.MustCompile(`(?i)(pass|token|secret|credential)([a-z_]*["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s,}\]=][^\s,}\]]*( +[^\s,}\]]+)*)`)

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

// shownColumns is how much of a long line is shown on either side of what is wrong.
const shownColumns = 100

// window is the part of a line that is shown, and the column in it.
func window(line []rune, column int) ([]rune, int) {
	if from := column - 1 - shownColumns; from > 0 && from < len(line) {
		line, column = append([]rune("…"), line[from:]...), shownColumns+2
	}
	if to := column + shownColumns; to < len(line) {
		line = append(slices.Clone(line[:to]), '…')
	}
	return line, column
}

// pad brings the caret below what is wrong: tabs stay tabs, whatever their width.
func pad(line []rune, column int) string {
	var b strings.Builder
	for _, r := range line[:min(max(column-1, 0), len(line))] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tail is how long the caret's tail is: at most to the end of the line.
func (p Problem) tail(line []rune, column int) int {
	return max(min(p.width, len(line)-column+1)-1, 0)
}

// Problems are all those of a configuration, in the order of the files. As an error they say that it cannot be used.
type Problems []Problem

func (e Problems) Error() string { return strings.TrimSuffix(e.Text(false), "\n") }

// Text renders the problems for people: each with its line and a caret below what is wrong.
func (e Problems) Text(colours bool) string {
	c := plain
	if colours {
		c = coloured
	}
	var b strings.Builder
	for _, p := range e {
		b.WriteString(p.text(c) + "\n")
	}
	return b.String()
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
		data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
		property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d::%s\n", p.Severity, property.Replace(p.File), p.Line, p.Column, data.Replace(p.Sentence()))
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

// meant finds what a word may have been meant to be, or lists what there is.
func meant(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "use " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// nearest is the word that a slip or two make into another one, or "".
func nearest(word string, known []string) string {
	best, least := "", 3
	if len(word) < 4 { // two other letters make another word
		least = 2
	}
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}
