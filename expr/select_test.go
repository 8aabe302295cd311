package expr

import (
	"testing"

	"github.com/streamproc/streamproc/stream"
)

// TestSelectedFieldsDecideLikeTheWholeValue compares each expression with itself when value is decoded as a whole.
func TestSelectedFieldsDecideLikeTheWholeValue(t *testing.T) {
	exprs := []string{
		`value.a.b > 1`, `has(value.a.b)`, `has(value.a) && !has(value.a.x)`, `value.a == {"b": 2.0, "c": [1.0]}`,
		`value.a.b == 2 && size(value.a) == 2`, `size(value.a) == 2 && value.a.b == 2`, `value.a.c[0] == 1`, `value.l[0].x == 1`,
		`value.l.exists(v, v.x == 1)`, `value.a.missing == 1`, `value.s.x == 1`, `value["a"].b == 2`, `value.d == 2`,
	}
	docs := []string{`{"a":{"b":2,"c":[1],"é":0},"l":[{"x":1}],"s":"text","d":1,"d":2}`, `{"a":{"b":2,"c":[1]}}`, `{"a":{}}`, `{"a":1,"s":null}`, `[1]`, `1`}
	for _, src := range exprs {
		p, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		whole := *p
		whole.fields = nil
		for _, doc := range docs {
			some, someErr := p.Match(&stream.Record{Value: []byte(doc)})
			all, allErr := whole.Match(&stream.Record{Value: []byte(doc)})
			if some != all || (someErr == nil) != (allErr == nil) {
				t.Errorf("%s on %s: %v, %v; of the whole value %v, %v", src, doc, some, someErr, all, allErr)
			}
		}
	}
}
