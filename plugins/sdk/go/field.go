package sp1

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/streamproc/streamproc/runtime/abi"
)

// Field is a field of the JSON object that a record's value is. The host reads the JSON, and hands over what is wanted: a
// plugin that looks at a few fields need not parse the rest, which in Go is dear.
type Field int

var (
	wanted    []byte // names, each with a zero byte behind it
	fields    Field
	withValue bool
)

// Want says that the plugin wants a field. It is for variables of a package, and for init:
//
//	var price = sp1.Want("price")
//
// A plugin that wants fields gets no Value, unless it calls WantValue. What is no JSON object goes to the dead letters
// before the handler sees it, and a null value passes.
func Want(name string) Field {
	wanted = append(append(wanted, name...), 0)
	fields++
	return fields - 1
}

// WantValue says that the plugin wants the whole value beside the fields.
func WantValue() { withValue = true }

// Needs are the columns that the plugin wants, as sp_needs answers.
func Needs() uint32 {
	if fields > 0 && !withValue {
		return abi.Keys | abi.Headers
	}
	return abi.AllColumns
}

// JSON returns the field as it is written, or nil: the record has no such field.
func (f Field) JSON(r *Record) []byte {
	b, _ := r.in.Field(r.i, int(f)) // one that cannot be read is none
	return b
}

// Int returns the field, if it is a whole number in digits.
func (f Field) Int(r *Record) (int64, bool) {
	return whole(f.JSON(r))
}

// whole reads digits, most of them faster than strconv does.
func whole(b []byte) (int64, bool) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 { // 18 never overflow
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	}
	n := int64(0)
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = 10*n + int64(c)
	}
	if len(digits) < len(b) {
		n = -n
	}
	return n, true
}

// Float returns the field, if it is a number.
func (f Field) Float(r *Record) (float64, bool) {
	x, err := strconv.ParseFloat(string(f.JSON(r)), 64)
	return x, err == nil
}

// Bool returns the field, if it is true or false.
func (f Field) Bool(r *Record) (value, ok bool) {
	b := string(f.JSON(r))
	return b == "true", b == "true" || b == "false"
}

// Null says that the field is there, and null.
func (f Field) Null(r *Record) bool { return string(f.JSON(r)) == "null" }

// Text returns the field, if it is a string.
func (f Field) Text(r *Record) (string, bool) {
	b := f.JSON(r)
	if len(b) < 2 || b[0] != '"' {
		return "", false
	}
	return plain(b[1 : len(b)-1]), true
}

// plain resolves the escapes of a string that is known to be JSON.
func plain(b []byte) string {
	var to []byte
	for from := 0; ; {
		at := from
		for at < len(b) && b[at] != '\\' {
			at++
		}
		if at+1 >= len(b) {
			if to == nil {
				return string(b)
			}
			return string(append(to, b[from:]...))
		}
		to = append(to, b[from:at]...)
		from = at + 2
		switch c := b[at+1]; c {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			c := unit(b, at)
			if pair := utf16.DecodeRune(c, unit(b, at+6)); pair != utf8.RuneError {
				to, from = utf8.AppendRune(to, pair), at+12
			} else {
				to, from = utf8.AppendRune(to, c), at+6 // half of a pair becomes U+FFFD
			}
		default:
			to = append(to, c)
		}
	}
}

// unit reads the escape \uXXXX at a place, or gives U+FFFD.
func unit(b []byte, at int) rune {
	if at+6 > len(b) || b[at] != '\\' || b[at+1] != 'u' {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(b[at+2:at+6]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
