package daemon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

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
		"a header of 500000 is over record_limits of 100":     {Value: text(1), Headers: []kgo.RecordHeader{header(500_000)}},
	}
	all := pass
	for _, r := range over {
		all = append(all, r)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.stack.Brokers()...), kgo.DefaultProduceTopic("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
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
