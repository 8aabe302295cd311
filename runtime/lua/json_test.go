package lua

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

const identity = "function map(v) return v end"

// same gives values to a script that hands them back, and compares with what encoding/json makes of each.
func same(t *testing.T, g *runtime.Guest, values ...string) {
	t.Helper()
	b := guesttest.Batch(values...)
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		r := &b.Records[i]
		var want, got any
		valid := json.Valid([]byte(value)) && utf8.ValidString(value) // encoding/json repairs what is not UTF-8
		err := json.Unmarshal([]byte(value), &want)
		switch {
		case valid && err != nil, depth(value) > 190: // a number that is no double, or a depth that encoding/json takes
		case !valid && (r.Fate != stream.DeadLettered || r.Cause.Reason != stream.ReasonDecode):
			t.Errorf("%q is not JSON, and came to %v %s", value, r.Fate, r.Value)
		case !valid:
		case r.Fate != stream.Flowing:
			t.Errorf("%q came to %v %+v", value, r.Fate, r.Cause)
		case json.Unmarshal(r.Value, &got) != nil || !reflect.DeepEqual(got, want):
			t.Errorf("%q came out as %q", value, r.Value)
		}
	}
}

func depth(s string) int { return strings.Count(s, "[") + strings.Count(s, "{") }

var documents = []string{
	`{}`, `[]`, `[[],{}]`, `{"a":[]}`, `null`, `true`, `false`, `""`, `"a\"b\\c\/d\b\f\n\r\t"`, `"\u00e9\u20ac\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ude00"`, `"\ud83d\ud83d\ude00"`,
	`0`, `-0`, `-1`, `1.5`, `-0.0`, `1e3`, `1E-7`, `1e308`, `5e-324`, `0.1`, `123456789012345678`, `9223372036854775807`, `9223372036854775808`, `12345678901234567890`, `0.30000000000000004`, `1.7976931348623157e308`, `100`, `1e21`, `123456.789`,
	`{"":1}`, `{"a":1,"a":2}`, `{"é":"\u0001"}`, ` [ 1 , 2 ] `, "\t{\r}", `[1,[2,[3]]]`, `{"a":null}`, `[null]`, `{"1":2}`,
	`01`, `1.`, `.5`, `+1`, `1e`, `--1`, `-`, `tru`, `nul`, `"`, `"\x"`, `"\u12"`, "\"\x01\"", `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `1 2`, `[1`, `]`, ``, ` `, `{"a":1}}`, `nan`, `Infinity`, `0x10`, `1_0`, "\ufeff1",
	`"` + strings.Repeat(`é\u0001\"\\x`, 500) + `"`, `"` + strings.Repeat("x", 5000) + `"`,
	strings.Repeat("[", 190) + strings.Repeat("]", 190),
}

func TestJSONIsReadAndWrittenAsGoDoes(t *testing.T) {
	g := newRig(t).Guest(identity)
	same(t, g, documents...)
	dice := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var numbers []string
		for range 500 {
			f := math.Float64frombits(dice.Uint64())
			if math.IsNaN(f) || math.IsInf(f, 0) {
				continue
			}
			numbers = append(numbers, strconv.FormatFloat(f, 'g', -1, 64), strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64),
				strconv.FormatFloat(float64(dice.IntN(1e9))/1000*0.908, 'f', -1, 64), strconv.FormatInt(int64(dice.Uint64()), 10))
		}
		same(t, g, numbers...)
	}
}

func TestWholeNumbersAreExactAndDecimalsShort(t *testing.T) {
	guesttest.Check(t, guesttest.Outcome(t, newRig(t).Guest(identity), guesttest.Batch("123456789012345678", "1.50", "1e2", "0.1", "1e300", `{"b":1,"a":[1.0,2]}`)),
		"123456789012345678", "1.5", "100", "0.1", "1e+300", `{"a":[1,2],"b":1}`)
}

func TestNamesComeInTheirOrderHoweverMany(t *testing.T) {
	g := newRig(t).Guest(`function map(n) local t = {} for i = 1, n do t[("%05d"):format(i * 7919 % 10007)] = i end return t end`)
	for _, n := range []string{"1", "16", "17", "64", "65", "1000"} {
		b := guesttest.Batch(n)
		if err := g.Process(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var names []string
		for d := json.NewDecoder(bytes.NewReader(b.Records[0].Value)); d.More() || len(names) == 0; {
			token, err := d.Token()
			if err != nil {
				t.Fatalf("%s: %v", b.Records[0].Value, err)
			}
			if s, ok := token.(string); ok {
				names = append(names, s)
			}
		}
		if strconv.Itoa(len(names)) != n {
			t.Fatalf("%d names, want %s", len(names), n)
		}
		for i := range names[1:] {
			if names[i] >= names[i+1] {
				t.Fatalf("%s: %q stands before %q", n, names[i], names[i+1])
			}
		}
	}
}

// FuzzJSON gives any text to a script that hands it back.
func FuzzJSON(f *testing.F) {
	for _, d := range documents {
		f.Add(d)
	}
	g := newRig(f).Guest(identity)
	f.Fuzz(func(t *testing.T, value string) { same(t, g, value) })
}
