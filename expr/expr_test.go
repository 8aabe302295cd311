package expr

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

func rec(v string) *stream.Record {
	return &stream.Record{Key: []byte("k"), Value: []byte(v), Headers: []stream.Header{{Key: "id", Value: []byte("7")}}, Timestamp: 5,
		Origin: stream.Coordinate{Partition: stream.Partition{Topic: "t", ID: 2}, Offset: 9}}
}

func TestPathReadsWhatItNames(t *testing.T) {
	const v = `{"a":{"b":[1,{"c":"x"}],"n":null},"s":"q\"uote","plain":"p","we.ird":3,"n":12}`
	for path, want := range map[string]string{"$.a.b[1].c": "x", "$.s": `q"uote`, "$.plain": "p", "$.n": "12", "$.a.b": `[1,{"c":"x"}]`, "key": "k", "topic": "t", "timestamp": "5", "header:id": "7"} {
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := p.Bytes(rec(v)); err != nil || !ok || string(got) != want {
			t.Errorf("%s: %q, %v, %v; want %q", path, got, ok, err, want)
		}
	}
	for _, path := range []string{"$.absent", "$.a.n", "header:absent", "$.a.b[7]"} {
		p, _ := ParsePath(path)
		if got, ok, err := p.Bytes(rec(v)); ok || err != nil {
			t.Errorf("%s: %q, %v, %v; want none", path, got, ok, err)
		}
	}
	for _, bad := range []string{"", "a.b", "$", "$.", "$.a..b", "$.a[x]", "$.a[1", "header:"} {
		if _, err := ParsePath(bad); err == nil {
			t.Errorf("%q was taken for a path", bad)
		}
	}
}

func TestSequencesAreExact(t *testing.T) {
	p, _ := ParsePath("$.n")
	for v, want := range map[string]int64{`{"n":0}`: 0, `{"n":9223372036854775807}`: 1<<63 - 1, `{"n":"12"}`: 12} {
		if got, err := p.Int64(rec(v)); err != nil || got != want {
			t.Errorf("%s: %d, %v", v, got, err)
		}
	}
	for _, v := range []string{`{"n":-1}`, `{"n":1.5}`, `{"n":1e3}`, `{"n":9223372036854775808}`, `{"n":"x"}`, `{"n":null}`, `{}`, `not json`, ``} {
		_, err := p.Int64(rec(v))
		var r interface{ Reason() stream.Reason }
		if !errors.As(err, &r) || r.Reason() != stream.ReasonDecode {
			t.Errorf("%s: %v, want a decode error", v, err)
		}
	}
}

func TestTimes(t *testing.T) {
	p, _ := ParsePath("$.t")
	for v, want := range map[string]int64{`{"t":1518000000123}`: 1518000000123, `{"t":"2018-02-07T10:40:00.123Z"}`: 1518000000123} {
		if got, err := p.Time(rec(v)); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", v, got, err, want)
		}
	}
	if _, err := p.Time(rec(`{"t":"yesterday"}`)); err == nil {
		t.Error("yesterday was taken for a time")
	}
}

func TestPredicates(t *testing.T) {
	const v = `{"acct":"a1","total":12,"tags":["eu","us"],"deep":{"mag":4.5}}`
	for src, want := range map[string]bool{
		`value.acct.startsWith("a")`:                true,
		`value.total > 10 && "eu" in value.tags`:    true,
		`value.deep.mag >= 4.6`:                     false,
		`has(value.absent)`:                         false,
		`size(value) == 4`:                          true, // value as a whole
		`key == "k" && partition == 2 && offset==9`: true,
		`headers["id"] == "7" && topic == "t"`:      true,
		`value.exists(k, k == "acct")`:              true,
	} {
		p, err := Compile(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := p.Match(rec(v)); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", src, got, err, want)
		}
	}
}

func TestAnExpressionThatFailsIsTheRecordsFault(t *testing.T) {
	p, _ := Compile(`value.n > 3`)
	for _, v := range []string{`{}`, `{"n":"x"}`, `broken`, strings.Repeat("[", 200) + strings.Repeat("]", 200)} {
		_, err := p.Match(rec(v))
		var r interface{ Reason() stream.Reason }
		if !errors.As(err, &r) {
			t.Errorf("%.20s: %v, want an error of the record", v, err)
		}
	}
}

func TestSyntaxErrorsHaveAPlace(t *testing.T) {
	for src, column := range map[string]int{`value.n >`: 10, `nope == 1`: 1, `1 + 1`: 1} {
		_, err := Compile(src)
		var s *SyntaxError
		if !errors.As(err, &s) || s.Column != column {
			t.Errorf("%s: %#v, want column %d", src, err, column)
		}
	}
}

func TestCostsAreBounded(t *testing.T) {
	p, err := Compile(`value.l.map(a, value.l.map(b, value.l.map(c, a + b + c))).size() > 0`)
	if err != nil {
		t.Fatal(err)
	}
	list := "[" + strings.Repeat("1,", 199) + "1]"
	if _, err := p.Match(rec(`{"l":` + list + `}`)); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("got %v, want an end by cost", err)
	}
}

func FuzzPathAgainstEncodingJSON(f *testing.F) {
	f.Add(`{"a":{"b":"x"}}`)
	f.Add(`{"a":{"b":"\u00e9\n"}}`)
	f.Add(`{"a":1}`)
	p, _ := ParsePath("$.a.b")
	f.Fuzz(func(t *testing.T, v string) {
		got, ok, err := p.Bytes(rec(v))
		if valid := json.Valid([]byte(v)); valid != (err == nil) && strings.Count(v, "[")+strings.Count(v, "{") <= DefaultDepth {
			t.Fatalf("%q: valid %v, but %v", v, valid, err)
		}
		var want struct{ A struct{ B *string } }
		if err != nil || json.Unmarshal([]byte(v), &want) != nil || strings.Count(v, `"`) > 6 || strings.Contains(v, `\`) {
			return // keys twice, or folded, or escaped: the two may choose differently
		}
		if strings.Contains(v, `{"a":{"b":"`) && want.A.B != nil && (!ok || string(got) != *want.A.B) && json.Valid([]byte(v)) && len(*want.A.B) == len(got) {
			t.Fatalf("%q: %q, want %q", v, got, *want.A.B)
		}
	})
}

func TestAValueMayNestAsDeepAsIsSet(t *testing.T) {
	p, err := ParsePath("$.a")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Compile("value.a != null")
	if err != nil {
		t.Fatal(err)
	}
	for depth, fits := range map[int]bool{3: false, 4: true, 5: true} {
		if _, _, err := p.Within(depth).Bytes(rec(`{"a":[[["}}"]]]}`)); (err == nil) != fits {
			t.Errorf("a path within %d: %v", depth, err)
		}
		if _, err := f.Within(depth).Match(rec(`{"a":[[["}}"]]]}`)); (err == nil) != fits {
			t.Errorf("an expression within %d: %v", depth, err)
		}
	}
}

func TestAWrongExpressionIsExplained(t *testing.T) {
	for src, want := range map[string]string{
		"value.a >":             "it ends too early",
		"value.a b":             "'b' cannot stand here",
		"value.a = 1":           "a single = means nothing: write ==",
		`key == "a`:             "a quote is open",
		"vlaue.a > 1":           "there is no vlaue: a record is value, key, headers, topic, partition, offset and timestamp",
		"key > 1":               "> does not go with string and int",
		"key.startsWith(1)":     "startsWith does not take string.(int)",
		"value.a + 1":           "the expression gives int, not true or false",
		"value.a > 1 && #":      "'#' cannot be read",
		"key in 'a'":            "in does not take (string, string)",
		"has(value)":            "invalid argument to has() macro",
		"value.exists(x, x > )": "')' cannot stand here",
	} {
		if _, err := Compile(src); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", src, err, want)
		}
	}
}

// TestOddJSONHasOneVerdict gives values that parsers part over to a path, a number and an expression, twice each: what is no JSON, or
// too deep, is the record's fault, and the rest has the same reading each time.
func TestOddJSONHasOneVerdict(t *testing.T) {
	id, err := ParsePath("$.id")
	if err != nil {
		t.Fatal(err)
	}
	predicate, err := Compile("value.id != null")
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		value string
		id    string // "!" is the record's fault, "half" for a path only
	}{
		"10,000 levels":                 {`{"id":"a","x":` + deep(10_000) + `}`, "!"},
		"10,000 levels before":          {`{"x":` + deep(10_000) + `,"id":"a"}`, "!"},
		"10,000 levels that do not end": {strings.Repeat(`{"id":`, 10_000), "!"},
		"1e400":                         {`{"id":1e400}`, "1e400"},
		"a number of 1 M digits":        {`{"id":` + strings.Repeat("9", 1<<20) + `}`, strings.Repeat("9", 1<<20)},
		"doubled key":                   {`{"id":"a","id":"b"}`, "a"},
		"doubled key, escaped":          {`{"\u0069d":"b","id":"a"}`, ""},
		"half a pair":                   {`{"id":"\ud800"}`, "half"},
		"the other half":                {`{"id":"\udc00x"}`, "half"},
		"halves the wrong way round":    {`{"id":"\udc00\ud800"}`, "half"},
		"half before another escape":    {`{"id":"\ud800\u0041"}`, "half"},
		"half before a pair":            {`{"id":"\ud800\ud83d\ude00"}`, "half"},
		"half behind a pair":            {`{"id":"\ud83d\ude00\ude00"}`, "half"},
		"a pair":                        {`{"id":"\ud83d\ude00"}`, "😀"},
		"two pairs":                     {`{"id":"\n\ud83d\ude00\ud83d\ude01\\ud800"}`, "\n😀😁\\ud800"},
		"the character that stands in":  {`{"id":"\ufffd"}`, "\uFFFD"},
		"NUL, escaped":                  {`{"id":"\u0000"}`, "\x00"},
		"NUL, as it is":                 {"{\"id\":\"\x00\"}", "!"},
		"BOM":                           {"\uFEFF" + `{"id":"a"}`, "!"},
		"no UTF-8, byte for byte":       {"{\"id\":\"\xff\"}", "\xff"},
		"comment":                       {`{"id":"a"} // more`, "!"},
		"two values":                    {`{"id":"a"}{"id":"b"}`, "!"},
		"comma at the end":              {`{"id":"a",}`, "!"},
		"no quotes":                     {`{id:"a"}`, "!"},
		"leading zero":                  {`{"id":01}`, "!"},
		"plus":                          {`{"id":+1}`, "!"},
		"hexadecimal":                   {`{"id":0x1}`, "!"},
		"NaN":                           {`{"id":NaN}`, "!"},
		"space of another kind":         {"{\"id\":\u00a0\"a\"}", "!"},
		"only a string":                 {`"id"`, ""},
		"nothing":                       {``, "!"},
		"spaces":                        {"  \n", "!"},
	} {
		for range 2 {
			got, ok, err := id.Bytes(rec(c.value))
			var fault interface{ Reason() stream.Reason }
			switch {
			case err != nil && !errors.As(err, &fault):
				t.Errorf("%s: %v is no fault of the record", name, err)
			case (err != nil) != (c.id == "!" || c.id == "half"), err == nil && c.id != "" && string(got) != c.id, err == nil && c.id == "" && ok && c.value[0] == '"':
				t.Errorf("%s: %.40q, %v, %v; want %.40q", name, got, ok, err, c.id)
			}
			if _, err := id.Int64(rec(c.value)); !errors.As(err, &fault) {
				t.Errorf("%s as a number: %v", name, err)
			}
			if _, err := predicate.Match(rec(c.value)); err != nil && !errors.As(err, &fault) {
				t.Errorf("%s in an expression: %v is no fault of the record", name, err)
			} else if err == nil && c.id == "!" {
				t.Errorf("%s is taken by an expression, and by a path it is not", name)
			}
		}
	}
}
