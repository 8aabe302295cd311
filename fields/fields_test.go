package fields

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamproc/streamproc/bench/bid"
)

// found is the text of each wanted field; "" is missing.
func found(t *testing.T, doc string, names ...string) []string {
	t.Helper()
	set, err := New(names)
	if err != nil {
		t.Fatal(err)
	}
	spans, texts := make([]Span, len(names)), make([]string, len(names))
	if err := set.Find([]byte(doc), spans); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	for i, s := range spans {
		if texts[i] = doc[s.From:s.To]; s.Missing() != (texts[i] == "") || s.Len() != len(texts[i]) {
			t.Errorf("%s: field %s is %q, missing is %v", doc, names[i], texts[i], s.Missing())
		}
	}
	return texts
}

func TestFieldsAreFoundAsTheyAreWritten(t *testing.T) {
	for doc, want := range map[string]string{
		`{"a":1,"b":"x"}`:                              `1 "x"`,
		`{"b":"x","a":1}`:                              `1 "x"`,
		" {\n\"a\" : 1.50e+2 ,\t\"b\" : null } ":       `1.50e+2 null`,
		`{"a":12345678901234567890123,"b":"\u00e9\""}`: `12345678901234567890123 "\u00e9\""`,
		`{"a":1,"a":2,"b":3}`:                          `2 3`,
		`{"\u0061":1,"b":{"a":2}}`:                     `1 {"a":2}`,
		`{"a":{"b":[1,{"a":7}]}}`:                      `{"b":[1,{"a":7}]} `,
		`{}`:                                           ` `,
		`{"A":1,"ab":2,"":3,"aaaaaaaaaaaaaaaaaaaa":4}`: ` `,
	} {
		if got := strings.Join(found(t, doc, "a", "b"), " "); got != want {
			t.Errorf("%s: found %q, want %q", doc, got, want)
		}
	}
}

func TestNamesMayBeAnyText(t *testing.T) {
	long := strings.Repeat("n", NameBytes)
	doc := `{"é":1,"a.b":2,"a\"b":3,"` + long + `":4,"\ud83d\ude00":5}`
	if got := strings.Join(found(t, doc, "é", "a.b", `a"b`, long, "😀"), " "); got != "1 2 3 4 5" {
		t.Errorf("found %s", got)
	}
}

func TestWhatHasNoFieldsSaysWhy(t *testing.T) {
	set, err := New([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{
		``: "goes wrong at byte 1", `[1]`: "no object", `null`: "no object", ` "a" `: "no object", `{"a":1`: "byte 7", `{"a":01}`: "byte 7", `{"a":1}}`: "byte 8",
		`{"a":1,}`: "byte 8", "{\"a\":\"\x01\"}": "byte 7", `{"a":"\x"}`: "byte 8", `{"b":"` + "\xff" + `"}`: "not UTF-8", `[1`: "byte 1",
		`{"a":` + strings.Repeat("[", Depth) + strings.Repeat("]", Depth) + `}`: "nests deeper", strings.Repeat("[", 1000): "byte 1",
	} {
		spans := []Span{{1, 2}}
		err := set.Find([]byte(doc), spans)
		var fault *Fault
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", doc, err, want)
		}
	}
}

func TestASetIsBounded(t *testing.T) {
	for _, names := range [][]string{make([]string, Most+1), {""}, {"a", "a"}, {strings.Repeat("n", NameBytes+1)}, {"\xff"}} {
		if _, err := New(names); err == nil {
			t.Errorf("%q is taken", names)
		}
	}
	if s, err := New(nil); err != nil || len(s.Names()) != 0 {
		t.Errorf("no fields at all: %v", err)
	}
}

func TestDepthIsCounted(t *testing.T) {
	for most := range 6 {
		for depth := range 6 {
			doc := strings.Repeat(`{"a":[`, depth/2) + strings.Repeat("[", depth%2) + strings.Repeat("]", depth%2) + strings.Repeat(`]}`, depth/2)
			if depth == 0 {
				doc = "0"
			} else if depth%2 == 0 {
				doc = strings.Replace(doc, "[]", "[0]", 1)
			}
			if err := Valid([]byte(doc), most); (err == nil) != (depth <= most) {
				t.Errorf("%s within %d: %v", doc, most, err)
			}
		}
	}
}

// FuzzFind compares with encoding/json: what is JSON, and what each field is.
func FuzzFind(f *testing.F) {
	for _, doc := range []string{`{"a":1,"b":"x\n","a":[{}]}`, `{"\u0061":-0.1E-2,"é":"\ud800"}`, `[true,false,null]`, "\"\x00\"", ` 1 `, `{"a":"` + strings.Repeat("long ", 9) + `"}`, string(bid.Append(nil, 7))} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		const deep = 10_000 // the limit of encoding/json
		if got, want := Valid(doc, deep) == nil, json.Valid(doc); got != want {
			t.Fatalf("%q: valid is %v, encoding/json says %v", doc, got, want)
		}
		var want map[string]json.RawMessage
		object := utf8.Valid(doc) && json.Unmarshal(doc, &want) == nil && want != nil && Valid(doc, Depth) == nil
		names := []string{"a"}
		for name := range want {
			if name != "a" && name != "" && len(name) <= NameBytes && len(names) < Most {
				names = append(names, name)
			}
		}
		set, err := New(names)
		if err != nil {
			t.Fatal(err)
		}
		spans := make([]Span, len(names))
		if err := set.Find(doc, spans); (err == nil) != object {
			t.Fatalf("%q: %v, encoding/json says %v", doc, err, object)
		} else if err != nil {
			return
		}
		for i, name := range names {
			raw, there := want[name]
			if spans[i].Missing() == there || string(raw) != string(doc[spans[i].From:spans[i].To]) {
				t.Errorf("%q: field %q is %v, encoding/json says %q", doc, name, spans[i], raw)
			}
		}
	})
}
