package daemon

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const narrow = `version: 1
pipelines:
  guarded:
    commit_interval: 50ms
    source: { topics: [in] }
    record_limits: { value: 1KiB, key: 100B, headers: 4, header: 100B }
    sinks: { out: { topic: out } }
`

// TestEachLimitOfARecordIsKeptToTheByte gives records at each limit, and one above. What is over is in the dead letters by reference,
// and null and empty come out as what they are.
func TestEachLimitOfARecordIsKeptToTheByte(t *testing.T) {
	p := newPlace(t, narrow, inAndOut(1))
	text := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	header := func(n int) kgo.RecordHeader { return kgo.RecordHeader{Key: "h", Value: text(n - 1)} }
	headers := func(n int) (list []kgo.RecordHeader) {
		for range n {
			list = append(list, header(5))
		}
		return list
	}
	pass := []*kgo.Record{
		{}, {Value: []byte{}}, {Key: []byte{}, Value: text(1)}, {Value: text(1024)}, {Key: text(100), Value: text(1)}, {Value: text(1), Headers: headers(4)},
		{Value: text(1), Headers: []kgo.RecordHeader{header(100)}}, {Value: text(1), Headers: []kgo.RecordHeader{{Key: ""}}},
	}
	over := map[string]*kgo.Record{
		"a value of 1025 is over record_limits of 1024":       {Value: text(1025)},
		"a value of 900000 is over record_limits of 1024":     {Value: text(900_000)},
		"a key of 101 is over record_limits of 100":           {Key: text(101), Value: text(1)},
		"a number of headers of 5 is over record_limits of 4": {Value: text(1), Headers: headers(5)},
		"a number of headers of 10000":                        {Value: text(1), Headers: headers(10_000)},
		"a header of 101 is over record_limits of 100":        {Value: text(1), Headers: []kgo.RecordHeader{header(101)}},
		"a header of 1048576 is over record_limits of 100":    {Value: text(1), Headers: []kgo.RecordHeader{header(1 << 20)}},
	}
	all := pass
	for _, r := range over {
		all = append(all, r)
	}
	if err := p.large("in").ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	shape := func(r *kgo.Record) string {
		return fmt.Sprint(r.Key == nil, len(r.Key), r.Value == nil, len(r.Value), len(r.Headers))
	}
	got := p.consume("out", len(pass), shape)
	for i, r := range pass {
		if want := shape(r); got[i] != want {
			t.Errorf("record %d came out as %s, want %s", i, got[i], want)
		}
	}
	causes := strings.Join(p.causes("guarded.dlq", len(over)), "\n")
	for want := range over {
		if !strings.Contains(causes, want) {
			t.Errorf("no dead letter says %q:\n%s", want, causes)
		}
	}
	for _, s := range p.consume("guarded.dlq", len(over), shape) {
		if !strings.HasSuffix(s, " true 0 8") { // the headers are ours
			t.Errorf("a dead letter carries what is too large: %s", s)
		}
	}
}

// large lets a topic take records of up to 4 MiB, and returns what writes them.
func (r *rig) large(topic string) *kgo.Client {
	r.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.stack.Brokers()...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(4<<20))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(cl.Close)
	limit := "4194304"
	if _, err := kadm.NewClient(cl).AlterTopicConfigs(r.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, topic); err != nil {
		r.Fatal(err)
	}
	return cl
}

const strict = `version: 1
pipelines:
  guarded:
    commit_interval: 50ms
    source: { topics: [in] }
    record_limits: { value: 64MiB }
    steps:
      - filter: 'has(value.id)'
      - dedup: { key: $.id }
      - reorder: { key: $.k, sequence: $.n, first: 0, max_wait: 10m }
    sinks: { out: { topic: out } }
`

// TestOddJSONCostsItself has values that parsers part over between others. What cannot be read is a dead letter, byte for byte, and
// all others come out in order.
func TestOddJSONCostsItself(t *testing.T) {
	p := newPlace(t, strict, inAndOut(1))
	n := func(n string) string { return `{"id":"` + n + `","k":"odd","n":` + n + `}` }
	id := func(id string) string { return `{"id":"` + id + `","k":"odd","n":0}` }
	deep := strings.Repeat("[", 10_000)
	dead := []string{
		`{"id":"deep","k":"odd","n":0,"x":` + deep + strings.ReplaceAll(deep, "[", "]") + "}", deep,
		n("1e400"), n("1e3"), n("-1"), n("-0.5"), n("0.5"), n("9223372036854775808"), n("9223372036854775807"), `{"id":"digits","k":"odd","n":` + strings.Repeat("9", 900_000) + "}", `{"id":"text","k":"odd","n":"x"}`, n("null"), n("[0]"), n("NaN"), n("01"),
		id(`\ud800`), id(`\udc00\ud800`), id("\x00"), id("a") + "x", "\uFEFF" + id("bom"), `{"id":null,"k":"odd","n":0}`, `{"id":"no key","n":0}`, `{"id":"no sequence","k":"odd"}`,
		`{"id":`, `[]`, " ", "",
	}
	filtered := []string{"null", `"id"`} // they have no id, as the filter sees it
	passes := []string{`{"id":"a","id":"b","k":"o1","n":0}`, `{"id":"\u0000","k":"o2","n":0}`, "{\"id\":\"\xff\",\"k\":\"o3\",\"n\":0}", `{"id":"c","k":"o4","n":"0"}`,
		`{"id":"\ud83d\ude00","k":"o5","n":0}`, `{"id":"","k":"","n":0}`, `{"id":2e400,"k":{"x":[]},"n":0}`, `{"id":"d","k":"o6","n":0,"x":1e400}`}
	all, want := filtered, []string(nil)
	for i, v := range append(slices.Clone(dead), passes...) {
		neighbour := fmt.Sprintf(`{"id":"neighbour %d","k":"k","n":%d}`, i, i)
		if all, want = append(all, v, neighbour), append(want, neighbour); i >= len(dead) {
			want = append(want[:len(want)-1], v, neighbour)
		}
	}
	p.feed("in", all...)
	s := p.until("guarded", func(s Status) bool { return s.Ledger.In == int64(len(all)) })
	if diff := cmp.Diff(pipeline.Counts{In: int64(len(all)), Out: int64(len(want)), Filtered: int64(len(filtered)), DeadLettered: int64(len(dead))}, s.Ledger); diff != "" || s.State != pipeline.Running {
		t.Errorf("it is %s, and the ledger: %s", s.State, diff)
	}
	if diff := cmp.Diff(want, p.read("out", int(s.Ledger.Out))); diff != "" {
		t.Errorf("what came out: %s", diff)
	}
	letters := p.read("guarded.dlq", int(s.Ledger.DeadLettered)) // in the order in which the steps gave them up
	slices.Sort(letters)
	slices.Sort(dead)
	if diff := cmp.Diff(dead, letters); diff != "" {
		t.Errorf("the dead letters: %s", diff)
	}
}

const keyed = `version: 1
pipelines:
  all:
    commit_interval: 50ms
    source: { topics: [in] }
    record_limits: { key: 1MiB, header: 1MiB }
    steps:
      - dedup: { key: "header:id" }
      - reorder: { key: key, sequence: "header:seq", first: 0, max_wait: 10m }
    sinks: { out: { topic: out } }
`

// TestNoIDReachesAKeyOfRedis has ids that would mean something to Redis, to a cluster of it, or to a terminal, of up to 1 MiB. Each is
// itself, and the keys of Redis are made of digests and numbers.
func TestNoIDReachesAKeyOfRedis(t *testing.T) {
	redis := miniredis.RunT(t)
	r := newRig(t, keyed)
	r.d = build(t, keyed, map[string]string{"KAFKA_BROKERS": r.stack.Brokers()[0], "REDIS_ADDR": redis.Addr()})
	cl := r.large("in")
	ids := []string{"\r\nFLUSHALL\r\n", "{tag}", "}{", "{", "*", "a*b?[c]", "\x00", "\xff\xfe", "sp:alive", "{sp:0123456789abcdef:00000000000000000000000000000000:0}:m", "\x1b[2J", "", strings.Repeat("x", 900_000)}
	feed := func(key, id, seq string) {
		t.Helper()
		record := &kgo.Record{Key: []byte(key), Headers: []kgo.RecordHeader{{Key: "id", Value: []byte(id)}, {Key: "seq", Value: []byte(seq)}}}
		if err := cl.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i, id := range ids {
		for _, seq := range []string{"1", "0", "1"} { // the last is a copy
			key, small := id, fmt.Sprint(i)
			feed(key, small+seq, seq)      // as the key of reorder
			feed("of "+small, id+seq, seq) // as the id of dedup
		}
	}
	large := strings.Repeat("y", 1<<20)
	feed(large, "large", "0") // no topic takes it again
	feed("k", large[len("id"):], "0")
	r.run()
	n := int64(len(ids))
	s := r.until("all", func(s Status) bool { return s.Ledger.In == 6*n+2 })
	if diff := cmp.Diff(pipeline.Counts{In: 6*n + 2, Out: 4 * n, Duplicates: 2 * n, DeadLettered: 2}, s.Ledger); diff != "" {
		t.Errorf("the ledger: %s", diff)
	}
	next := map[string]int{}
	for _, rec := range readBack(t, r.stack.Brokers(), "out", int(4*n)) {
		for _, h := range rec.Headers {
			if h.Key == "seq" && string(h.Value) != fmt.Sprint(next[string(rec.Key)]) {
				t.Errorf("of key %.20q came %s where %d is next", rec.Key, h.Value, next[string(rec.Key)])
			}
		}
		next[string(rec.Key)]++
	}
	of := regexp.MustCompile(`^(sp:alive(:\d+)?|\{sp:[0-9a-f]{16}:[0-9a-f]{32}:\d+\}:(m|next|s:\d+|redo:[0-9a-f]+))$`)
	for _, key := range redis.Keys() {
		if !of.MatchString(key) {
			t.Errorf("Redis has a key %.100q", key)
		}
	}
	if len(redis.Keys()) < 4 {
		t.Errorf("Redis has %d keys only: nothing was kept there", len(redis.Keys()))
	}
}
