package bid

import (
	"bytes"
	"time"
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

// NewJudge expects the bids 0 to distinct-1 once each, in order per key; with discount as AppendEuro has them.
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

// same compares byte by byte: the programs under test copy, or write their JSON in one way.
func (j *Judge) same(n int64, key, value []byte) bool {
	if j.discount {
		j.buf = AppendEuro(j.buf[:0], n)
	} else {
		j.buf = Append(j.buf[:0], n)
	}
	return bytes.Equal(key, Key(n)) && bytes.Equal(value, j.buf)
}

// number finds which bid a record was by its time, which every bid has for itself and every scenario keeps.
func number(value []byte) (int64, bool) {
	_, rest, ok := bytes.Cut(value, []byte(`"dateTime":"`))
	if !ok || len(rest) < len(timeLayout) {
		return 0, false
	}
	at, err := time.Parse(timeLayout, string(rest[:len(timeLayout)]))
	return at.Sub(epoch).Milliseconds(), err == nil
}
