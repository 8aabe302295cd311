package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
	"github.com/streamproc/streamproc/expr"
	"gopkg.in/yaml.v3"
)

// The kinds of values. Each is bound to a variable, whose content beforehand is the default.

// text is any text; it may be empty.
func text(to *string) value {
	return value{shape{kind: "text", def: *to}, func(a at) { a.warnAmbiguous(); *to = a.text() }}
}

// word is one of several words.
func word(to *string, words ...string) value {
	return value{shape{kind: "word", def: *to, words: words}, func(a at) {
		if v := a.scalar(); v != nil {
			if *to = *v; !slices.Contains(words, *v) {
				a.fail(unknownWord, "use "+joined(words, "or"), "unknown value %q", *v)
			}
		}
	}}
}

// without names words of the grammar that this version does not have.
func (v value) without(held ...string) value {
	read, words := v.read, v.words
	v.read = func(a at) {
		if slices.Contains(held, a.node.Value) {
			a.fail(notAvailable, "use "+joined(words, "or"), "%s is not available in this version", a.node.Value)
			return
		}
		read(a)
	}
	return v
}

// boolean is true or false.
func boolean(to *bool) value {
	return value{shape{kind: "true or false", def: strconv.FormatBool(*to), boolean: true}, func(a at) {
		if v := a.scalar(); v != nil {
			if *to = *v == "true"; *v != "true" && *v != "false" {
				a.fail(wrongKind, "write true or false", "%q is neither true nor false", *v)
			}
		}
	}}
}

const durationPattern = `^([0-9]+(ms|[smhdwy]))+$`

func duration(to *time.Duration, least, most time.Duration) value {
	s := shape{kind: "duration", example: "250ms, 5s, 24h, 7d, 1h30m", span: writtenDuration(least) + " to " + writtenDuration(most), pattern: durationPattern}
	if *to > 0 {
		s.def = writtenDuration(*to)
	}
	return value{s, func(a at) { *to = a.duration(*to, least, most) }}
}

func (a at) duration(or, least, most time.Duration) time.Duration {
	v := a.scalar()
	if v == nil {
		return or
	}
	d, err := model.ParseDuration(*v)
	switch {
	case err != nil || *v == "0":
		a.fail(wrongKind, durationHint(*v), "%q is no duration", *v)
		return or
	case time.Duration(d) < least || time.Duration(d) > most:
		a.fail(outOfRange, "", "%s is out of the range of %s to %s", *v, writtenDuration(least), writtenDuration(most))
		return or
	}
	return time.Duration(d)
}

// durationHint answers to the usual slips: no unit, a fraction.
func durationHint(v string) string {
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return fmt.Sprintf("write %ds, or %dms", n, n)
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		return "write " + writtenDuration(d)
	}
	return "write 250ms, 5s, 24h, 7d or 1h30m"
}

// writtenDuration writes a duration as a person would.
func writtenDuration(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d == 0:
		return "0s"
	case d%day == 0 && d > day:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return model.Duration(d).String()
}

// size is a number of bytes.
func size[T int | int64](to *T, least, most int64) value {
	s := shape{kind: "size", example: "64KiB, 16MiB, 1GiB", span: writtenSize(least) + " to " + writtenSize(most), pattern: `^[0-9.]+ ?([kKMG]i?)?B$`}
	if *to > 0 {
		s.def = writtenSize(int64(*to))
	}
	return value{s, func(a at) { *to = T(a.size(int64(*to), least, most)) }}
}

func (a at) size(or, least, most int64) int64 {
	v := a.scalar()
	if v == nil {
		return or
	}
	n, err := humanize.ParseBytes(*v)
	_, bare := strconv.ParseUint(*v, 10, 64)
	switch {
	case err != nil || bare == nil:
		a.fail(wrongKind, "write 64KiB, 16MiB or 1GiB; 16MB is 16,000,000 bytes", "%q is no size", *v)
		return or
	case int64(min(n, math.MaxInt64)) < least || int64(min(n, math.MaxInt64)) > most:
		a.fail(outOfRange, "", "%s is out of the range of %s to %s", *v, writtenSize(least), writtenSize(most))
		return or
	}
	return int64(n)
}

func writtenSize(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// count is a whole number.
func count[T int | int64](to *T, least, most int64) value {
	s := shape{kind: "count", example: "8, 10_000, 20k, 5M", span: spanOfCounts(least, most), number: &[2]int64{least, most}, pattern: countPattern}
	if *to > 0 {
		s.def = writtenCount(int64(*to))
	}
	return value{s, func(a at) { *to = T(a.count(int64(*to), least, most)) }}
}

func writtenCount(n int64) string { return strings.ReplaceAll(humanize.Comma(n), ",", "_") }

func spanOfCounts(least, most int64) string {
	if most == math.MaxInt64 {
		return "from " + writtenCount(least)
	}
	return writtenCount(least) + " to " + writtenCount(most)
}

const countPattern = `^(0|[1-9][0-9_]*)[kM]?$`

// octal looks like a number with a leading zero, which other readers of YAML take for octal.
var octal = regexp.MustCompile(`^0[0-9]+$`)

var countRE = regexp.MustCompile(`^(0|[1-9][0-9_]*)([kM]?)$`)

func (a at) count(or, least, most int64) int64 {
	v := a.scalar()
	if v == nil {
		return or
	}
	m := countRE.FindStringSubmatch(*v)
	if m == nil {
		hint := "write 8, 10_000, 20k or 5M"
		if octal.MatchString(*v) {
			hint = "a leading zero makes it octal to other readers of YAML: write " + cmp.Or(strings.TrimLeft(*v, "0"), "0")
		}
		a.fail(wrongKind, hint, "%q is no count", *v)
		return or
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], "_", ""), 10, 64)
	scale := map[string]int64{"": 1, "k": 1000, "M": 1_000_000}[m[2]]
	if err != nil || n > most/scale || n*scale < least {
		a.fail(outOfRange, "", "%s is out of the range of %s", *v, spanOfCounts(least, most))
		return or
	}
	return n * scale
}

// secret is text that is never shown.
func secret(to *Secret) value {
	return value{shape{kind: "secret", example: "${NAME} or ${file:PATH}"}, func(a at) {
		if _, given := a.r.given[a.node]; given {
			a.fail(exposedSecret, "write ${NAME} or ${file:PATH} in the file", "everybody on this host can see the arguments of a process, so a secret cannot be set there")
			return
		}
		a.warnSecret()
		*to = Secret(a.text())
	}}
}

// file is a path, relative to the file that names it.
func file(to *string) value {
	return value{shape{kind: "path of a file", example: "certs/ca.pem, relative to this file"}, func(a at) {
		if name := a.nonempty(); name != "" {
			*to = a.relative(name)
		}
	}}
}

func (a at) relative(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(a.r.file), name)
}

var topicRE = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// topic is the name of a topic, as Kafka allows them.
func topic(to *string) value {
	return value{shape{kind: "topic", def: *to, pattern: topicRE.String()}, func(a at) {
		if a.isMapping() {
			a.fail(notAvailable, "name one topic, and route to a sink for each", "a topic chosen by an expression is not available in this version")
			return
		}
		a.warnAmbiguous()
		name := a.nonempty()
		if name != "" && (!topicRE.MatchString(name) || name == "." || name == "..") {
			a.fail(wrongKind, "use letters, digits, '.', '_' and '-', at most 249", "%q is no name of a topic", name)
		}
		*to = name
	}}
}

// address is one host:port, or several with commas between them.
func address(to *[]string) value {
	return value{shape{kind: "host:port", example: "localhost:9092"}, func(a at) {
		for _, s := range strings.Split(a.nonempty(), ",") {
			s = strings.TrimSpace(s)
			host, port, ok := cutPort(s)
			if n, err := strconv.ParseUint(port, 10, 16); !ok || host == "" || err != nil || n == 0 {
				a.fail(wrongKind, "write host:port", "%q is no address", s)
			}
			*to = append(*to, s)
		}
	}}
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// field is a path into a record.
func field(to *string) value {
	return value{shape{kind: "field of a record", def: *to, example: "$.user.id, header:NAME, key, topic, timestamp"}, func(a at) {
		v := a.scalar()
		if v == nil {
			return
		}
		if _, err := expr.ParsePath(*v); err != nil {
			hint, message := "", err.Error()
			if strings.HasPrefix(*v, "$.") {
				hint = "write $.field, $.object.field or $.list[0]"
			}
			if plainName.MatchString(*v) {
				message, _, _ = strings.Cut(message, ": use ")
				hint = fmt.Sprintf("write $.%s for a field of the value, header:%s for a header", *v, *v)
			}
			a.fail(wrongField, hint, "%s", message)
		}
		*to = *v
	}}
}

var plainName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]*$`)

// predicate is an expression that says yes or no.
func predicate(to *string) value {
	return value{shape{kind: "expression", example: `'value.total > 10 && "eu" in value.tags'`, boolean: true}, func(a at) {
		*to = a.nonempty()
		if *to == "" {
			return
		}
		if _, err := expr.Compile(*to); err != nil {
			a.within(err).fail(wrongExpression, "", "the expression is wrong: %v", err)
		}
	}}
}

// looksIntoValue says that an expression uses the value of a record.
func looksIntoValue(src string) bool {
	p, err := expr.Compile(src)
	return err == nil && p.UsesValue()
}

// within is the place in an expression that an error names, where it stands on one line.
func (a at) within(err error) at {
	var s *expr.SyntaxError
	if !errors.As(err, &s) || a.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || s.Line != 1 || a.r.interpolated[a.node] {
		return a
	}
	n := *a.node
	n.Column += s.Column - 1
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		n.Column++
	}
	n.Value, n.Style = "", 0
	a.node = &n
	return a
}

// reference is the name of something that is defined elsewhere.
func reference[T any](to **T, what string, from map[string]*T) value {
	return value{shape{kind: "name of a " + what, otherwise: "the only one"}, func(a at) {
		if found := pick(a, what, from); found != nil {
			*to = found
		}
	}}
}

func pick[T any](a at, what string, from map[string]*T) *T {
	name := a.nonempty()
	if name == "" {
		return nil
	}
	if found, ok := from[name]; ok {
		return found
	}
	names := make([]string, 0, len(from))
	for n := range from {
		names = append(names, n)
	}
	hint := "none is defined"
	if len(names) > 0 {
		hint = meant(name, names)
	}
	a.fail(unknownName, hint, "there is no %s named %q", what, name)
	return nil
}

// anything is given on as JSON.
func anything(to *[]byte) value {
	return value{shape{kind: "anything", any: true}, func(a at) {
		a.warnAmbiguousBelow()
		var v any
		err := a.node.Decode(&v)
		if err == nil {
			*to, err = json.Marshal(v)
		}
		if err != nil {
			a.fail(wrongKind, "use text as keys, and no cycles or odd numbers", "it cannot be written as JSON")
		}
	}}
}

// share is a part of all.
func share(to *float64) value {
	return special("percentage", "5%, 0.5%, 100%", "none", sharePattern, func(a at) {
		text := a.text()
		percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if !shareRE.MatchString(text) || err != nil || percent <= 0 || percent > 100 {
			a.fail(wrongKind, "write 5%, at most 100%", "%q is no share", text)
			return
		}
		*to = percent / 100
	})
}

const sharePattern = `^[0-9]+(\.[0-9]+)?%$`

var shareRE = regexp.MustCompile(sharePattern)

// special is a value of a kind of its own: words, and what else read understands.
func special(kind, example, def, pattern string, read func(at)) value {
	return value{shape{kind: kind, example: example, def: def, pattern: pattern}, read}
}
