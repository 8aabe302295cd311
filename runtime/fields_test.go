package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/stream"
)

// wanting is a guest that wants the fields of a configuration: see testdata/fields.c.
func wanting(t *testing.T, config string) *Guest {
	t.Helper()
	return startGuest(t, load(t, Source{Name: "fields", Bytes: wasmOf(t, "fields"), Config: []byte(config)}), Transform, Events{})
}

func TestAGuestIsGivenTheFieldsThatItWants(t *testing.T) {
	g := wanting(t, `{"want":"a,b"}`)
	if !slices.Equal(g.Fields(), []string{"a", "b"}) {
		t.Errorf("it wants %q", g.Fields())
	}
	b := batch(`{"a":1,"b":"x"}`, `{ "b" : null, "c":[{"a":7}] }`, `{}`, `{"a":1,"\u0061":[2, 3]}`, `{"b":1.50e400,"x":"`+strings.Repeat("long", 50)+`"}`)
	process(t, g, b)
	if got, want := fates(b), `1|"x"#- -|null#- -|-#- [2, 3]|-#- -|1.50e400#-`; got != want {
		t.Errorf("it is given %s, want %s", got, want)
	}
}

func TestAGuestMayHaveTheValueToo(t *testing.T) {
	g := wanting(t, `{"want":"b,a","value":1}`)
	b := batch(`{"a":1,"b":"x"}`, `null`, `{"c":1}`, "")
	b.Records[3].Value = nil
	process(t, g, b)
	if got, want := fates(b), `"x"|1#{"a":1,"b":"x"} !decode -|-#{"c":1} -|-#-`; got != want {
		t.Errorf("it is given %s, want %s", got, want)
	}
	if b.Records[0].Original == nil || b.Records[1].JSON == stream.JSONValid {
		t.Error("an output has lost what it was, or what is no object is known as JSON")
	}
}

func TestWhatHasNoFieldsIsADeadLetterAndATombstonePasses(t *testing.T) {
	g := wanting(t, `{"want":"a"}`)
	b := batch(`{"a":1}`, `{"a":1`, `[1]`, "{\"a\":\"\xff\"}", `{"a":2}`, "")
	b.Records = append(b.Records, stream.Record{Origin: stream.Coordinate{Offset: 6}})
	process(t, g, b)
	if got, want := fates(b), `1#- !decode !decode !decode 2#- !decode `; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i, why := range map[int]string{1: "not JSON: it goes wrong at byte 7", 2: "no object", 3: "not UTF-8"} {
		if c := b.Records[i].Cause; c == nil || !strings.Contains(c.Message, why) || c.Step != "step" {
			t.Errorf("record %d: %+v", i, c)
		}
	}
}

func TestFieldsAreThereWhileTheGuiltyIsSought(t *testing.T) {
	g := wanting(t, `{"want":"a"}`)
	var values, want []string
	for i := range 100 {
		values, want = append(values, fmt.Sprintf(`{"n":0,"a":%d}`, i)), append(want, fmt.Sprintf("%d#-", i))
	}
	values[0], want[0] = "{", "!decode"
	values[70], want[70] = `{"a":"trap"}`, "!trap"
	b := batch(values...)
	process(t, g, b)
	if got := fates(b); got != strings.Join(want, " ") {
		t.Errorf("got %s", got)
	}
}

func TestABatchIsMeasuredByWhatIsHandedOver(t *testing.T) {
	extra := strings.Repeat("x", batchLimitBytes/4)
	var values []string
	for range 20 {
		values = append(values, `{"a":1,"x":"`+extra+`"}`)
	}
	for config, most := range map[string]int{`{"want":"a"}`: 20, `{"want":"a","value":1}`: 3} {
		g := wanting(t, config)
		b := batch(values...)
		g.gather(b)
		if hi := g.chunk(b, 0); hi != most {
			t.Errorf("%s: %d records in the first call, want %d", config, hi, most)
		}
	}
}

func TestWantsThatCannotBeMetKeepAGuestFromStarting(t *testing.T) {
	for config, want := range map[string]string{
		`{"want":"!"}`:   "names in its memory",
		`{"want":"?a"}`:  "names in its memory",
		`{"want":"a,a"}`: "wanted twice",
		`{"want":"a,"}`:  "field 2 has a name of 0 bytes",
		`{"want":"` + strings.Repeat("ab,", fields.Most) + `c"}`: "over the limit of 64",
		`{"want":"` + strings.Repeat("x", 20_000) + `"}`:         "names in its memory",
	} {
		_, err := load(t, Source{Name: "fields", Bytes: wasmOf(t, "fields"), Config: []byte(config)}).NewGuest(t.Context(), Transform, "step", Events{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "sp_fields") {
			t.Errorf("%.40s: %v", config, err)
		}
	}
	g := wanting(t, `{}`)
	if g.Fields() != nil {
		t.Errorf("without a configuration it wants %q", g.Fields())
	}
}
