package expr

import (
	"bytes"
	"testing"

	"github.com/streamproc/streamproc/stream"
)

var odd = []string{
	`{"id":"a","n":1}`, `{"n":1}`, `{}`, `{"id":null}`, `{"id":"a","id":"b"}`, `{"id":null,"id":"b"}`, `{"id":{"id":"x"},"n":[1,{"id":2}]}`, ` { "id" : "a\u00e9\n" , "n" : -1.5e3 } `,
	`{"\u0069d":"a"}`, `{"i\u0064":1,"id":2}`, `{"id":""}`, `{"id":"\ud800"}`, `{"id":true,"n":false}`, `["id",1]`, `[{"id":"a"}]`, `"id"`, `1`, `null`, ``, `{"id"`, `{"id":"a"}x`, `{"id":"a"`, `{"id":01}`,
	"{\"id\":\"\xff\"}", "{\"\xff\":1,\"id\":2}", `{"id":[[[[[[[[1]]]]]]]]}`, `{"0":"a","1":"b"}`, `["a","b"]`, `{"n.x":1,"n":2}`, `{"é":"e","id":"i"}`, `{"id":"a\"b"}`,
}

// same looks the same fields up in one pass and one by one.
func same(t *testing.T, doc []byte) {
	t.Helper()
	paths := []string{"$.id", "$.n", "$.0", "$.é", "$.n.x", "$.missing"}
	w := Gather(paths, []string{`value.id == "a" || value.n > 0`})
	together, e, whole := stream.Record{Value: doc}, must(t, `value.id == "a" || value.n > 0`), stream.Record{Value: doc}
	for _, src := range paths {
		p, err := ParsePath(src)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time the places are known
			v, ok, err := p.Within(8).Among(w).Bytes(&together)
			alone := stream.Record{Value: doc}
			want, wantOK, wantErr := p.Within(8).Bytes(&alone)
			if !bytes.Equal(v, want) || (v == nil) != (want == nil) || ok != wantOK || (err == nil) != (wantErr == nil) {
				t.Errorf("%s of %q: %q, %v, %v; by itself %q, %v, %v", src, doc, v, ok, err, want, wantOK, wantErr)
			}
		}
	}
	got, err := must(t, e.src).Within(8).Among(w).Match(&together)
	want, wantErr := e.Within(8).Match(&whole)
	if got != want || (err == nil) != (wantErr == nil) {
		t.Errorf("%s on %q: %v, %v; by itself %v, %v", e.src, doc, got, err, want, wantErr)
	}
}

func must(t *testing.T, src string) *Predicate {
	t.Helper()
	p, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnePassFindsWhatPathsFind(t *testing.T) {
	for _, doc := range odd {
		same(t, []byte(doc))
	}
}

func FuzzWants(f *testing.F) {
	for _, doc := range odd {
		f.Add([]byte(doc))
	}
	f.Fuzz(same)
}

// A record that is kept meets other steps than those that it came for: a reload may have changed what they look up.
func TestARecordThatIsKeptForgetsWhereItsFieldsAre(t *testing.T) {
	before, after := Gather([]string{"$.a", "$.b"}, nil), Gather([]string{"$.b", "$.a"}, nil)
	p, err := ParsePath("$.a")
	if err != nil {
		t.Fatal(err)
	}
	r := stream.Record{Value: []byte(`{"a":"1","b":"2"}`)}
	if v, _, _ := p.Among(before).Bytes(&r); string(v) != "1" || r.JSON != stream.JSONLocated {
		t.Fatalf("got %q, state %d", v, r.JSON)
	}
	kept := r.Clone()
	if v, _, _ := p.Among(after).Bytes(&kept); string(v) != "1" {
		t.Errorf("got %q of a kept record; want 1", v)
	}
}

func BenchmarkKeys(b *testing.B) {
	var ps [3]Path
	for i, src := range []string{"$.id", "$.type", "$.geometry"} {
		ps[i], _ = ParsePath(src)
	}
	w := Gather([]string{"$.id", "$.type", "$.geometry"}, nil)
	for _, of := range []struct {
		name  string
		wants *Wants
		n     int
	}{{"one alone", nil, 1}, {"one", w, 1}, {"three alone", nil, 3}, {"three", w, 3}} {
		b.Run(of.name, func(b *testing.B) {
			b.ReportAllocs()
			var list [3]Path
			for i := range list {
				list[i] = ps[i].Among(of.wants)
			}
			for b.Loop() {
				r := stream.Record{Value: quake}
				for _, p := range list[:of.n] {
					if _, ok, err := p.Bytes(&r); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			}
		})
	}
}
