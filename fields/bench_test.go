package fields

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/tidwall/gjson"
)

func BenchmarkFind(b *testing.B) {
	doc := bid.Append(nil, 7)
	for name, names := range map[string][]string{"two": {"price", "channel"}, "five": {"auction", "bidder", "price", "channel", "dateTime"}} {
		b.Run(name, func(b *testing.B) {
			set, err := New(names)
			if err != nil {
				b.Fatal(err)
			}
			spans := make([]Span, len(names))
			for b.Loop() {
				if err := set.Find(doc, spans); err != nil || spans[1].Missing() {
					b.Fatal(err, spans)
				}
			}
		})
	}
}

// BenchmarkValid has what the others cost on the same document beside it.
func BenchmarkValid(b *testing.B) {
	doc := bid.Append(nil, 7)
	for name, valid := range map[string]func() bool{
		"fields": func() bool { return Valid(doc, Depth) == nil },
		"gjson":  func() bool { return gjson.ValidBytes(doc) },
		"json":   func() bool { return json.Valid(doc) },
		"utf8":   func() bool { return utf8.Valid(doc) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !valid() {
					b.Fatal("it is")
				}
			}
		})
	}
}
