package script

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

// call notes what becomes of each record.
type call struct {
	records []stream.Record
	fates   []string
}

func callOf(values ...string) *call {
	c := &call{fates: make([]string, len(values))}
	for _, v := range values {
		c.records = append(c.records, stream.Record{Value: []byte(v)})
	}
	return c
}

func (c *call) Len() int                                { return len(c.records) }
func (c *call) Record(i int) *stream.Record             { return &c.records[i] }
func (c *call) Keep(i int)                              { c.fates[i] += "=" }
func (c *call) Drop(i int)                              { c.fates[i] += "-" }
func (c *call) Fail(i int, r stream.Reason, why string) { c.fates[i] += "!" + string(r) + " " + why }
func (c *call) Emit(i int, r *stream.Record)            { c.fates[i] += ">" + string(r.Value) }

func explain(text []byte) (string, error) {
	if len(text) == 0 {
		return "", fmt.Errorf("no text")
	}
	return string(text), nil
}

func TestValuesGoInAsLinesAndAnswersComeBackAsSuch(t *testing.T) {
	c := callOf("1", "{\n\"a\":2}", "", "\xff", "[1,\n", "6")
	c.records[2].Value = nil
	var in Input
	hi, todo := in.gather(c, 0, false)
	if hi != 6 || fmt.Sprint(todo) != "[0 1 5]" {
		t.Fatalf("gathered %v of %d", todo, hi)
	}
	in.Write(c, todo, false, true)
	if string(in.Text) != "1\n{ \"a\":2}\n6" || strings.Count(string(in.Records), `"offset"`) != 3 {
		t.Errorf("in goes %q, %s", in.Text, in.Records)
	}
	a := Answers{Call: c, Lines: []byte("*2\n7\n8\n!why\n>9"), Explain: explain}
	if err := a.Give(todo); err != nil || !a.Failed {
		t.Fatalf("%v, failed %v", err, a.Failed)
	}
	want := []string{">7>8", "!error why", "=", "!decode the value is not UTF-8, so it is not JSON", "!decode the value is not JSON: it goes wrong at byte 4", ">9"}
	if fmt.Sprintf("%q", c.fates) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q, want %q", c.fates, want)
	}
}

func TestABatchIsBounded(t *testing.T) {
	var in Input
	c := callOf(strings.Split(strings.Repeat("1 ", 2*batchRecords-1)+"1", " ")...)
	if hi, todo := in.gather(c, 0, false); hi != batchRecords || len(todo) != batchRecords {
		t.Errorf("%d of %d", len(todo), hi)
	}
	large := `"` + strings.Repeat("x", batchBytes) + `"`
	if hi, todo := in.gather(callOf("1", large, "2"), 0, false); hi != 1 || len(todo) != 1 {
		t.Errorf("before a large value: %d of %d", len(todo), hi)
	}
	if hi, todo := in.gather(callOf(large, "2"), 0, false); hi != 1 || len(todo) != 1 {
		t.Errorf("a large value: %d of %d", len(todo), hi)
	}
}

func TestOnlyTheFieldsThatAreWantedGoIn(t *testing.T) {
	var in Input
	if err := in.Project([]string{"a", `b"`}, false); err != nil || len(in.Fields()) != 2 {
		t.Fatal(in.Fields(), err)
	}
	c := callOf(`{"c":[1],"b\"":"x","a":1}`, "7", "{\"a\":[\n2]}", "{", "{}", `{"a":1,"a":null}`, "")
	c.records[6].Value = nil
	hi, todo := in.gather(c, 0, false)
	in.Write(c, todo, false, false)
	if want := "{\"a\":1,\"b\\\"\":\"x\"}\n{\"a\":[ 2]}\n{}\n{\"a\":null}"; string(in.Text) != want {
		t.Errorf("by line they go in as\n%s\nwant\n%s", in.Text, want)
	}
	in.Listed = true
	in.Write(c, todo, false, false)
	if want := "[0,{\"a\":1,\"b\\\"\":\"x\"},{\"a\":[\n2]},{},{\"a\":null}]"; string(in.Text) != want || hi != 7 || fmt.Sprint(todo) != "[0 2 4 5]" {
		t.Errorf("of %d records %v go in as\n%s\nwant\n%s", hi, todo, in.Text, want)
	}
	if got := fmt.Sprintf("%q", c.fates); got != `["" "!decode the value is JSON, but no object, so it has no fields" "" "!decode the value is not JSON: it goes wrong at byte 2" "" "" "="]` {
		t.Errorf("the others are answered %s", got)
	}
	if hi, todo = in.gather(c, 2, false); hi != 7 || len(todo) != 3 {
		t.Errorf("from the third on %v of %d", todo, hi)
	}
	if in.Write(c, todo, false, false); string(in.Text) != "[0,{\"a\":[\n2]},{},{\"a\":null}]" {
		t.Errorf("then %s", in.Text)
	}
	whole := callOf(`{"b\"":[1],"a":1}`, `{"a":null,"b\"":{}}`)
	_, todo = in.gather(whole, 0, false)
	if in.Write(whole, todo, false, false); string(in.Text) != `[1,1,[1],null,{}]` {
		t.Errorf("where none is lacking %s", in.Text)
	}
	if in.Project([]string{""}, false) == nil || in.Project(nil, true) != nil || in.Fields() != nil {
		t.Error("a field without a name is taken, or none is not")
	}
}

func FuzzAnswersOfAnyFormAreReadOrRefused(f *testing.F) {
	for _, lines := range []string{"=\n-\n?", ">1\n*2\n1\n2\n!x", "*99999999999999999999\n", "*9000000000000000000\n1", "", "\n\n", ">3 -1 2", "*1 2\n>"} {
		f.Add([]byte(lines), []byte("123456"), true)
		f.Add([]byte(lines), []byte(nil), false)
	}
	f.Fuzz(func(t *testing.T, lines, outputs []byte, asBytes bool) {
		c := callOf("1", "{", "3")
		a := Answers{Call: c, Lines: lines, Bytes: asBytes, Outputs: outputs, Explain: explain}
		if a.Give([]int{0, 1, 2}) != nil {
			return
		}
		for i, fate := range c.fates {
			if fate == "" && !strings.Contains(string(lines), "*") {
				t.Errorf("record %d has no answer in %q", i, lines)
			}
		}
	})
}
