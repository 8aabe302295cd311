package expr

import (
	"testing"

	"github.com/streamproc/streamproc/stream"
)

var quake = []byte(`{"type":"Feature","properties":{"mag":5.3,"place":"98km NNW of Farallon de Pajaros","time":1518131834000,"updated":1518133000000,"type":"earthquake"},"geometry":{"type":"Point","coordinates":[144.5,21.3,10.5]},"id":"us1000chhc"}`)

func BenchmarkPredicate(b *testing.B) {
	p, err := Compile(`value.properties.mag >= 1.0`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := stream.Record{Value: quake}
		if ok, err := p.Match(&r); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkPathBytes(b *testing.B) {
	p, err := ParsePath("$.id")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := stream.Record{Value: quake}
		if v, ok, err := p.Bytes(&r); !ok || err != nil || string(v) != "us1000chhc" {
			b.Fatal(string(v), ok, err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	b.ReportAllocs()
	r := rec(string(quake))
	for b.Loop() {
		r.JSON = 0
		if err := validate(r, DefaultDepth, nil); err != nil {
			b.Fatal(err)
		}
	}
}
