package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Problem is one thing wrong with a configuration, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	source  string // the line
	width   int    // of what is wrong, for the caret
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	if p.source != "" {
		pad := strings.Repeat(" ", max(p.Column-1, 0))
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^%s", p.Line, p.source, pad, strings.Repeat("~", max(p.width-1, 0)))
	}
	return b.String()
}

// Errors are all the problems of a configuration, in the order of the files.
type Errors []Problem

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// JSON renders the problems for programs, one object a line.
func (e Errors) JSON() string {
	var b strings.Builder
	for _, p := range e {
		line, _ := json.Marshal(p) // plain strings and numbers
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// GitHub renders the problems as annotations of a pull request.
func (e Errors) GitHub() string {
	var b strings.Builder
	for _, p := range e {
		msg := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(p.Path + ": " + p.Message + " " + p.Hint)
		fmt.Fprintf(&b, "::error file=%s,line=%d,col=%d::%s\n", p.File, p.Line, p.Column, msg)
	}
	return b.String()
}

func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}

// meant finds what a word may have been meant to be.
func meant(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		sorted := slices.Sorted(slices.Values(known))
		return "use " + strings.Join(sorted, ", ")
	}
	return fmt.Sprintf("did you mean %q?", best)
}
