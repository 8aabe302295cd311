package workshop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Difference is what has become otherwise of one record.
type Difference struct {
	Line   int      // of the record in its file
	What   Turn     // what kind it is
	Detail []string // a line for each field, or each output, that differs
}

// Turn says how the outcome of a record has turned.
type Turn string

// The turns.
const (
	Other   Turn = "differs"       // what comes out is otherwise
	Dropped Turn = "is dropped"    // nothing comes out any more
	Added   Turn = "comes out"     // something comes out now
	Fails   Turn = "fails"         // it did not
	Heals   Turn = "fails no more" // it did
)

// shownRunes is how much of a value is shown.
const shownRunes = 120

// Differences compares what two generations of a plugin made of the same records.
func Differences(records []Record, old, next []Line) (list []Difference) {
	before, after := byInput(old, len(records)), byInput(next, len(records))
	for i := range records {
		if d := difference(before[i], after[i]); d.What != "" {
			d.Line = records[i].Line
			list = append(list, d)
		}
	}
	return list
}

func byInput(lines []Line, n int) [][]Line {
	by := make([][]Line, n)
	for _, l := range lines {
		by[l.Input] = append(by[l.Input], l)
	}
	return by
}

func difference(was, is []Line) Difference {
	same := func(a, b Line) bool { return a.String() == b.String() }
	switch {
	case slices.EqualFunc(was, is, same):
		return Difference{}
	case len(is) == 0:
		return Difference{What: Dropped, Detail: []string{"- " + shown(was[0].String())}}
	case is[0].Failed != "":
		return Difference{What: Fails, Detail: []string{is[0].Failed}}
	case len(was) == 0:
		return Difference{What: Added, Detail: []string{"+ " + shown(is[0].String())}}
	case was[0].Failed != "":
		return Difference{What: Heals, Detail: []string{"+ " + shown(is[0].String())}}
	}
	d := Difference{What: Other}
	for k := range max(len(was), len(is)) {
		at := ""
		if max(len(was), len(is)) > 1 {
			at = fmt.Sprintf("output %d ", k+1)
		}
		switch {
		case k >= len(is):
			d.Detail = append(d.Detail, "- "+at+shown(was[k].String()))
		case k >= len(was):
			d.Detail = append(d.Detail, "+ "+at+shown(is[k].String()))
		default:
			for _, field := range differing(&was[k], &is[k]) {
				d.Detail = append(d.Detail, field[:2]+at+field[2:])
			}
		}
	}
	return d
}

// differing tells which fields of two outputs differ: - is gone, + is new, ~ is another.
func differing(was, is *Line) (list []string) {
	list = values("$", was.Value, is.Value)
	key := func(l *Line) string {
		if l.Key == nil {
			return "as it was"
		}
		return *l.Key
	}
	if a, b := key(was), key(is); a != b {
		list = append(list, fmt.Sprintf("~ key %s → %s", shown(a), shown(b)))
	}
	if a, b := fmt.Sprint(was.Headers), fmt.Sprint(is.Headers); a != b {
		list = append(list, fmt.Sprintf("~ headers %s → %s", shown(a), shown(b)))
	}
	return list
}

// values compares two JSON values, member by member where both are objects.
func values(at string, was, is json.RawMessage) (list []string) {
	if bytes.Equal(was, is) {
		return nil
	}
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) != nil || json.Unmarshal(is, &b) != nil || a == nil || b == nil {
		return []string{fmt.Sprintf("~ %s %s → %s", at, shown(string(was)), shown(string(is)))}
	}
	for _, name := range sortedKeys(a) {
		if v, ok := b[name]; ok {
			list = append(list, values(at+"."+name, a[name], v)...)
		} else {
			list = append(list, fmt.Sprintf("- %s.%s %s", at, name, shown(string(a[name]))))
		}
	}
	for _, name := range sortedKeys(b) {
		if _, ok := a[name]; !ok {
			list = append(list, fmt.Sprintf("+ %s.%s %s", at, name, shown(string(b[name]))))
		}
	}
	if list == nil {
		list = []string{"~ " + at + " is written otherwise, with the same members"}
	}
	return list
}

func shown(text string) string {
	text = strings.ReplaceAll(text, "\n", "\\n")
	if r := []rune(text); len(r) > shownRunes {
		return string(r[:shownRunes]) + "…"
	}
	return text
}
