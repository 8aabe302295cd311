package bid

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestBidIsFlatJSONOfTheStatedSize(t *testing.T) {
	for n := range int64(2000) {
		b := Append(nil, n)
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("bid %d: %v: %s", n, err, b)
		}
		if len(b) != Size {
			t.Fatalf("bid %d has %d bytes: %s", n, len(b), b)
		}
		if m["id"] != fmt.Sprint(n) || m["price"] != float64(Price(n)) || fmt.Sprint(m["auction"]) != string(Key(n)) {
			t.Fatalf("bid %d: %s", n, b)
		}
	}
}

func TestFeedRepeatsFiveToTenPercentNearAndFar(t *testing.T) {
	f := Feed{Records: 50_000, Duplicates: true}
	var next, near50, far int64
	for n, ok := f.Next(); ok; n, ok = f.Next() {
		switch {
		case n > next:
			t.Fatalf("bid %d was fed before bid %d", n, next)
		case n == next:
			next++
		case next-n <= near:
			near50++
		default:
			far++
		}
	}
	if d := near50 + far; d < 2500 || d > 5000 || near50 < 1000 || far < 1000 {
		t.Fatalf("%d near and %d far duplicates", near50, far)
	}
	if got := f.Distinct(); got != next {
		t.Fatalf("Distinct is %d, want %d", got, next)
	}
}

const bids = 500

type arrival struct {
	partition  int32
	key, value string
}

func output(discount bool) []arrival {
	var out []arrival
	for n := range int64(bids) {
		v := string(Append(nil, n))
		if discount {
			v = string(AppendEuro(nil, n))
		}
		out = append(out, arrival{int32(auction(n) % 4), string(Key(n)), v})
	}
	return out
}

func judge(out []arrival, discount bool) Verdict {
	j := NewJudge(bids, discount)
	for _, a := range out {
		j.Arrived(a.partition, []byte(a.key), []byte(a.value))
	}
	return j.Verdict()
}

// sameKey is the position of two bids of one key.
func sameKey(t *testing.T, out []arrival) (int, int) {
	first := map[string]int{}
	for i, a := range out {
		if at, ok := first[a.key]; ok {
			return at, i
		}
		first[a.key] = i
	}
	t.Fatal("no key came twice")
	return 0, 0
}

func TestJudgeFindsEachFault(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func([]arrival) []arrival
		want  Verdict
	}{
		{"nothing", func(o []arrival) []arrival { return o }, Verdict{}},
		{"lost", func(o []arrival) []arrival { return append(o[:7], o[8:]...) }, Verdict{Lost: 1}},
		{"doubled", func(o []arrival) []arrival { return append(o, o[7]) }, Verdict{Duplicated: 1}},
		{"reordered", func(o []arrival) []arrival { a, b := sameKey(t, o); o[a], o[b] = o[b], o[a]; return o }, Verdict{Misordered: 1}},
		{"moved", func(o []arrival) []arrival { _, b := sameKey(t, o); o[b].partition++; return o }, Verdict{Misordered: 1}},
		{"altered value", func(o []arrival) []arrival {
			o[7].value = strings.Replace(o[7].value, "bidder", "bitter", 1)
			return o
		}, Verdict{Altered: 1}},
		{"wrong price", func(o []arrival) []arrival {
			o[7].value = strings.Replace(o[7].value, `"price":`, `"price":1`, 1)
			return o
		}, Verdict{Altered: 1}},
		{"altered key", func(o []arrival) []arrival { o[7].key = "x"; return o }, Verdict{Altered: 1}},
		{"rubbish", func(o []arrival) []arrival { o[7].value = "rubbish"; return o }, Verdict{Lost: 1, Altered: 1}},
	} {
		for _, discount := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/discount=%v", c.name, discount), func(t *testing.T) {
				if got := judge(c.spoil(output(discount)), discount); got != c.want {
					t.Fatalf("got %+v, want %+v", got, c.want)
				}
			})
		}
	}
}

func TestJudgeWantsTheDiscount(t *testing.T) {
	if got := judge(output(false), true); got.Altered != bids {
		t.Fatalf("undiscounted bids passed: %+v", got)
	}
	if got := judge(output(true), false); got.Altered != bids {
		t.Fatalf("discounted bids passed: %+v", got)
	}
}

func TestEuroBidKeepsItsFieldsAndMultipliesItsPrice(t *testing.T) {
	for n := range int64(2000) {
		var bid, euro map[string]any
		if err := json.Unmarshal(Append(nil, n), &bid); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(AppendEuro(nil, n), &euro); err != nil {
			t.Fatalf("%v: %s", err, AppendEuro(nil, n))
		}
		if price := bid["price"].(float64) * 0.908; math.Abs(euro["price"].(float64)-price) > 1e-6 {
			t.Fatalf("bid %d: price %v, want %v", n, euro["price"], price)
		}
		for _, name := range []string{"auction", "bidder", "channel", "dateTime"} {
			if euro[name] != bid[name] {
				t.Fatalf("bid %d: %s is %v, want %v", n, name, euro[name], bid[name])
			}
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte("1000"), Append(nil, 3))
	f.Add([]byte{}, []byte(`"dateTime":"2025-12-31T23:59:59.999Z"`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		j := NewJudge(100, true)
		j.Arrived(0, key, value)
		v := j.Verdict()
		if v.Lost == 100 && v.Altered == 0 {
			t.Fatalf("a record that is no bid went unnoticed: %q", value)
		}
	})
}
