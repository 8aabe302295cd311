package bid

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Judge reads what arrived and says what became of the bids, by their content alone. Its zero value is not usable.
type Judge struct {
	discount bool
	seen     []uint64         // one bit a bid
	last     map[string]int64 // per key, the highest bid that arrived
	where    map[string]int32 // per key, the partition of its first bid
	buf      []byte
	verdict  Verdict
}

// Verdict counts what went wrong. All zero is the only good one.
type Verdict struct {
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Misordered int64 `json:"misordered"` // behind a later bid of its key, or on another partition than the rest of its key
	Altered    int64 `json:"altered"`    // key or value not what it should be
}

// NewJudge expects the bids 0 to distinct-1 once each, in order per key; with discount their price times 0.908.
func NewJudge(distinct int64, discount bool) *Judge {
	return &Judge{discount: discount, seen: make([]uint64, (distinct+63)/64), last: map[string]int64{},
		where: map[string]int32{}, verdict: Verdict{Lost: distinct}}
}

// Arrived takes one record of the output topic, in the order of its partition. It keeps neither key nor value.
func (j *Judge) Arrived(partition int32, key, value []byte) {
	n, ok := number(value)
	if !ok || n < 0 || n >= int64(len(j.seen))*64 {
		j.verdict.Altered++
		return
	}
	if !j.same(n, key, value) {
		j.verdict.Altered++
	}
	if j.seen[n/64]&(1<<(n%64)) != 0 {
		j.verdict.Duplicated++
		return
	}
	j.seen[n/64] |= 1 << (n % 64)
	j.verdict.Lost--
	j.order(partition, string(key), n)
}

// Verdict is the judgement of what has arrived so far.
func (j *Judge) Verdict() Verdict { return j.verdict }

func (j *Judge) order(partition int32, key string, n int64) {
	last, known := j.last[key]
	if known && (n < last || j.where[key] != partition) {
		j.verdict.Misordered++
	}
	j.last[key] = max(last, n)
	if !known {
		j.where[key] = partition
	}
}

// same compares byte by byte, and field by field where the bytes differ: a plugin may write its JSON otherwise.
func (j *Judge) same(n int64, key, value []byte) bool {
	if !bytes.Equal(key, Key(n)) {
		return false
	}
	j.buf = Append(j.buf[:0], n)
	if !j.discount {
		return bytes.Equal(value, j.buf)
	}
	var got, want map[string]any
	if head := appendHead(nil, n); bytes.HasPrefix(value, head) {
		rest := value[len(head):]
		end := bytes.IndexByte(rest, ',')
		_, tail, _ := bytes.Cut(j.buf[len(head):], []byte{','})
		if end >= 0 && bytes.Equal(rest[end+1:], tail) {
			price, err := strconv.ParseFloat(string(rest[:end]), 64)
			return err == nil && discounted(n, price)
		}
	}
	if json.Unmarshal(value, &got) != nil || json.Unmarshal(j.buf, &want) != nil || len(got) != len(want) {
		return false
	}
	for name, w := range want {
		if g := got[name]; name == "price" {
			if price, ok := g.(float64); !ok || !discounted(n, price) {
				return false
			}
		} else if g != w {
			return false
		}
	}
	return true
}

// discounted allows for a price cut or rounded to hundredths, no more.
func discounted(n int64, price float64) bool {
	return math.Abs(price-float64(Price(n))*0.908) < 0.01
}

// number finds the id of a bid, at its beginning or by parsing.
func number(value []byte) (int64, bool) {
	if rest, ok := bytes.CutPrefix(value, []byte(`{"id":"`)); ok {
		if end := bytes.IndexByte(rest, '"'); end > 0 {
			n, err := strconv.ParseInt(string(rest[:end]), 10, 64)
			return n, err == nil
		}
	}
	var b struct{ ID string }
	if json.Unmarshal(value, &b) != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(b.ID, 10, 64)
	return n, err == nil
}
