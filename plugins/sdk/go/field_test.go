package sp1

import (
	"encoding/json"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/streamproc/streamproc/runtime/abi"
)

// withFields hands the fields of a value, the JSON of each or "", to a handler.
func withFields(t *testing.T, handle func(r *Record), list ...string) {
	t.Helper()
	value := []byte(" ")
	for _, f := range list {
		value = append(value, f...)
	}
	buf := make([]byte, abi.InputLen(1, int64(len(value)+len(list)*abi.FieldSize), 0))
	w := abi.NewWriter(buf, 1, abi.Keys)
	w.Project(len(list))
	w.Add(&abi.Row{Value: value})
	at := uint32(1)
	for i, f := range list {
		if f != "" {
			w.Field(i, at, at+uint32(len(f)))
			at += uint32(len(f))
		}
	}
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	Handle(func(r *Record, _ *Outputs) (Verdict, error) {
		calls++
		handle(r)
		return Keep, nil
	})
	var out abi.Answer
	if err := Process(buf[:n], &out, func(int, string) {}); err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// forget is for a test that wants fields.
func forget() { wanted, fields, withValue = nil, 0, false }

func TestFieldsHaveTheKindTheyAreWrittenIn(t *testing.T) {
	t.Cleanup(forget)
	if Needs() != abi.AllColumns {
		t.Errorf("without fields it needs %d", Needs())
	}
	a, b, c, d, none := Want("a"), Want("b"), Want("c"), Want("d"), Want("none")
	if string(wanted) != "a\x00b\x00c\x00d\x00none\x00" || Needs() != abi.Keys|abi.Headers {
		t.Errorf("it wants %q, needs %d", wanted, Needs())
	}
	withFields(t, func(r *Record) {
		if n, ok := a.Int(r); n != -12 || !ok {
			t.Errorf("a is %d, %v", n, ok)
		}
		if x, ok := b.Float(r); x != 1.5e3 || !ok {
			t.Errorf("b is %v, %v", x, ok)
		}
		if _, ok := b.Int(r); ok {
			t.Error("b is a whole number")
		}
		if v, ok := c.Bool(r); !v || !ok || c.Null(r) {
			t.Errorf("c is %v, %v", v, ok)
		}
		if _, ok := d.Text(r); ok || !d.Null(r) {
			t.Error("d is not null")
		}
		if _, ok := none.Text(r); ok || none.JSON(r) != nil || none.Null(r) || r.Value != nil {
			t.Error("what is missing is there")
		}
		if Field(99).JSON(r) != nil {
			t.Error("a field that nobody wants is there")
		}
	}, "-12", "1.5e3", "true", "null", "")
	WantValue()
	if Needs() != abi.AllColumns {
		t.Errorf("with the value it needs %d", Needs())
	}
}

func FuzzWholeNumbersAreReadAsByStrconv(f *testing.F) {
	for _, s := range []string{"0", "-0", "-", "", "+1", "12", "999999999999999999", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.0", "1e3", `"1"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 0 && s[0] == '+' {
			return // is no JSON
		}
		want, err := strconv.ParseInt(s, 10, 64)
		if got, ok := whole([]byte(s)); ok != (err == nil) || ok && got != want {
			t.Errorf("%q is %d, %v; want %d, %v", s, got, ok, want, err)
		}
	})
}

func FuzzTextIsReadAsByEncodingJSON(f *testing.F) {
	f.Cleanup(forget)
	field := Want("text")
	for _, s := range []string{`""`, `"plain"`, `"a\"\\\/\b\f\n\r\tz"`, `"\u00e9\ud83d\ude00\ud83d\u0041\ude00"`, `"\ud83d"`, `"é"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want string
		if len(s) == 0 || s[0] != '"' || s[len(s)-1] != '"' || json.Unmarshal([]byte(s), &want) != nil || !utf8.ValidString(s) {
			return
		}
		withFields(t, func(r *Record) {
			if got, ok := field.Text(r); got != want || !ok {
				t.Errorf("%s is %q, want %q", s, got, want)
			}
		}, s)
	})
}
