package runtime

import "testing"

const quake = `{"type":"Feature","properties":{"mag":5.3,"place":"98km NNW of Farallon de Pajaros","time":1518131834000,"updated":1518133000000,"type":"earthquake"},"geometry":{"type":"Point","coordinates":[144.5,21.3,10.5]},"id":"us1000chhc"}`

// BenchmarkLanguages is each example on one of its records, 1,000 in a batch.
func BenchmarkLanguages(b *testing.B) {
	for _, c := range []struct {
		name, path, value string
		mode              Mode
	}{
		{"c-bid", "bid-price/bid_price.wasm", bid, Transform},
		{"c-filter", "level-filter/level_filter.wasm", bid, Filter},
		{"java-bid", "bid-price-java/bid_price_java.wasm", bid, Transform},
		{"rust", "quake-alert/quake_alert.wasm", quake, Transform},
		{"as", "explode-items/explode_items.wasm", `[{"a":1}, {"b":[1,2],"c":"x,]"}, {"n":12345, "text":"some words here"}]`, Transform},
		{"go", "redact/redact.wasm", `{"note":"card 4111 1111 1111 1111 of ann.lee@example.org"}`, Transform},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, startGuest(b, example(b, c.path), c.mode, Events{}), c.value, 1000) })
	}
}
