// Package expr reads fields out of records and evaluates expressions on them. It is the only door to gjson and CEL.
package expr

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/stream"
	"github.com/tidwall/gjson"
)

// decodeError is the fault of one record; it says its reason to whoever writes the dead letter.
type decodeError struct{ msg string }

func (e *decodeError) Error() string { return e.msg }

// Reason is stream.ReasonDecode.
func (e *decodeError) Reason() stream.Reason { return stream.ReasonDecode }

func decodeErrorf(format string, args ...any) error {
	return &decodeError{fmt.Sprintf(format, args...)}
}

// DefaultDepth bounds the nesting of a JSON value that is looked into, unless Within says otherwise.
const DefaultDepth = fields.Depth

// Path names a part of a record: $.a.b[0], header:NAME, key, topic or timestamp. It is immutable and safe for concurrent
// use.
type Path struct {
	src   string
	kind  byte   // '$', 'h', 'k', 't', 's'
	inner string // gjson path, or name of the header
	depth int    // how deep a value may nest
	wants *Wants // finds the fields of the pipeline's paths in one pass; nil: each is looked up by itself
	slot  int    // in Wants; -1: none
}

// ParsePath reads a path as it is written in a configuration.
func ParsePath(s string) (Path, error) {
	switch {
	case s == "key":
		return plain(s, 'k', ""), nil
	case s == "topic":
		return plain(s, 't', ""), nil
	case s == "timestamp":
		return plain(s, 's', ""), nil
	case strings.HasPrefix(s, "header:") && len(s) > len("header:"):
		return plain(s, 'h', s[len("header:"):]), nil
	case strings.HasPrefix(s, "$."):
		inner, err := jsonPath(s[2:])
		return plain(s, '$', inner), err
	}
	return Path{}, fmt.Errorf("%q is no path: use $.field, header:NAME, key, topic or timestamp", s)
}

func plain(src string, kind byte, inner string) Path {
	return Path{src: src, kind: kind, inner: inner, depth: DefaultDepth, slot: -1}
}

// jsonPath turns a.b[0] into gjson's a.b.0, with what is special to gjson escaped.
func jsonPath(s string) (string, error) {
	var b strings.Builder
	for i, part := range strings.Split(s, ".") {
		name, index, indexed := strings.Cut(part, "[")
		if name == "" {
			return "", fmt.Errorf("\"$.%s\" has an empty field name", s)
		}
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range name {
			if strings.ContainsRune(`\*?|#@!{}()=<>%"'`, c) {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
		}
		for indexed {
			n, rest, ok := strings.Cut(index, "]")
			if _, err := strconv.Atoi(n); !ok || err != nil {
				return "", fmt.Errorf("\"$.%s\" has an index that is no number", s)
			}
			b.WriteString("." + n)
			if rest == "" {
				break
			}
			if index, indexed = strings.CutPrefix(rest, "["); !indexed {
				return "", fmt.Errorf("\"$.%s\" has %q after an index", s, rest)
			}
		}
	}
	return b.String(), nil
}

// Within returns the path for values that nest at most so deep.
func (p Path) Within(depth int) Path {
	p.depth = depth
	return p
}

// Among returns the path as one of those that w gathers.
func (p Path) Among(w *Wants) Path {
	p.wants, p.slot = w, -1
	if p.kind == '$' {
		p.slot = w.slot(p.src[len("$."):])
	}
	return p
}

func (p Path) String() string { return p.src }

// Bytes returns the value at the path: the text of a string, the JSON of anything else. ok is false where there is none,
// or null. An error says that the record's value is not JSON.
func (p Path) Bytes(r *stream.Record) (value []byte, ok bool, err error) {
	switch p.kind {
	case 'k':
		return r.Key, r.Key != nil, nil
	case 't':
		return []byte(r.Origin.Topic), true, nil
	case 's':
		return strconv.AppendInt(nil, r.Timestamp, 10), true, nil
	case 'h':
		v, ok := r.Header(p.inner)
		return v, ok && v != nil, nil
	}
	if err := validate(r, p.depth, p.wants); err != nil {
		return nil, false, err
	}
	if p.slot >= 0 && r.JSON == stream.JSONLocated {
		at := r.Places[p.slot]
		return p.text(r.Value[at.From:at.To:at.To])
	}
	res := gjson.GetBytes(r.Value, p.inner)
	if end := res.Index + len(res.Raw); res.Index > 0 {
		return p.text(r.Value[res.Index:end:end]) // shares the record's bytes
	}
	return p.text([]byte(res.Raw))
}

// Key is Bytes for a use that cannot do without a value.
func (p Path) Key(r *stream.Record) ([]byte, error) {
	v, ok, err := p.Bytes(r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, decodeErrorf("the record has no %s", p.src)
	}
	return v, nil
}

// Int64 returns the whole number at the path, for a sequence. Numbers in JSON strings count; fractions, exponents and
// numbers beyond 2^63 are refused rather than rounded.
func (p Path) Int64(r *stream.Record) (int64, error) {
	v, err := p.Key(r)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		return 0, decodeErrorf("%s is no whole number from 0 to 2^63-1", p.src)
	}
	return n, nil
}

// Time returns the time at the path in milliseconds since the Unix epoch: a number of milliseconds, or RFC 3339.
func (p Path) Time(r *stream.Record) (int64, error) {
	if p.kind == 's' {
		return r.Timestamp, nil
	}
	v, err := p.Key(r)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, nil
	}
	if f, err := strconv.ParseFloat(string(v), 64); err == nil && math.Abs(f) < 1<<53 {
		return int64(f), nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(v))
	if err != nil {
		return 0, decodeErrorf("%s is no time: neither milliseconds nor RFC 3339", p.src)
	}
	return t.UnixMilli(), nil
}

// text is what a field holds that is written so: the text of a string, the JSON of anything else. ok is false where it is
// missing, or null.
func (p Path) text(raw []byte) (value []byte, ok bool, err error) {
	if len(raw) == 0 || raw[0] == 'n' {
		return nil, false, nil
	}
	if raw[0] != '"' {
		return raw, true, nil
	}
	inner := raw[1 : len(raw)-1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, true, nil
	}
	if halved(inner) {
		return nil, false, decodeErrorf("%s holds half of a surrogate pair, which is no text", p.src)
	}
	return []byte(gjson.ParseBytes(raw).Str), true, nil
}

// halved says that a string of JSON escapes half of a surrogate pair. Each of them would be read as the same character, and ids
// that differ be taken for one.
func halved(inner []byte) bool {
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			continue
		}
		if i++; inner[i] != 'u' {
			continue
		}
		switch r := escaped(inner[i+1:]); {
		case !utf16.IsSurrogate(r):
		case len(inner) < i+11 || inner[i+5] != '\\' || inner[i+6] != 'u' || utf16.DecodeRune(r, escaped(inner[i+7:])) == utf8.RuneError:
			return true
		default:
			i += 6
		}
		i += 4
	}
	return false
}

// escaped is what the four digits of an escape mean.
func escaped(digits []byte) rune {
	n, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError // not in JSON that is valid
	}
	return rune(n)
}

// validate makes sure, once for each value, that it is JSON: gjson does not. The pass finds the fields of w, which may be nil.
func validate(r *stream.Record, depth int, w *Wants) error {
	if r.JSON == stream.JSONUnknown {
		r.JSON = w.check(r, depth)
	}
	switch {
	case r.JSON == stream.JSONValid, r.JSON == stream.JSONLocated:
		return nil
	case r.Value == nil:
		return decodeErrorf("the value is null where JSON is expected")
	}
	return decodeErrorf("the value of %d bytes is not JSON, or nests deeper than %d", len(r.Value), depth)
}
