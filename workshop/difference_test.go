package workshop

import (
	"fmt"
	"strings"
	"testing"
)

func TestDifferencesAreToldByField(t *testing.T) {
	value := func(i int, v string) Line { return Line{Input: i, Value: []byte(v)} }
	key := "k"
	records := make([]Record, 9)
	for i := range records {
		records[i].Line = 10 + i
	}
	old := []Line{value(0, `{"a":1}`), value(1, `{"a":1,"b":{"c":1,"d":2},"e":3}`), value(2, `1`), {Input: 4, Failed: "error: no"}, value(5, `5`), value(6, `6`), value(6, `7`),
		value(7, `{"a":1,"b":2}`), value(8, `8`)}
	next := []Line{value(0, `{"a":1}`), value(1, `{"a":1,"b":{"c":2,"d":2},"f":4}`), value(3, `3`), value(4, `4`), {Input: 5, Failed: "trap: unreachable"}, value(6, `6`), value(6, `8`), value(6, `9`),
		value(7, `{"b":2,"a":1}`), {Input: 8, Value: []byte(`8`), Key: &key}}
	var got strings.Builder
	for _, d := range Differences(records, old, next) {
		fmt.Fprintf(&got, "%d %s\n  %s\n", d.Line, d.What, strings.Join(d.Detail, "\n  "))
	}
	const want = `11 differs
  ~ $.b.c 1 → 2
  - $.e 3
  + $.f 4
12 is dropped
  - 1
13 comes out
  + 3
14 fails no more
  + 4
15 fails
  trap: unreachable
16 differs
  ~ output 2 $ 7 → 8
  + output 3 9
17 differs
  ~ $ is written otherwise, with the same members
18 differs
  ~ key as it was → k
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
}
