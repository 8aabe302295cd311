package kafka

import (
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestHopsAreBelievedFromAnyTopicIfTheyArePlain gives headers as they may come from outside. A count never shows among the headers
// of a record.
func TestHopsAreBelievedFromAnyTopicIfTheyArePlain(t *testing.T) {
	hops := func(values ...string) (hs []kgo.RecordHeader) {
		for _, v := range values {
			hs = append(hs, kgo.RecordHeader{Key: headerHops, Value: []byte(v)})
		}
		return hs
	}
	for _, c := range []struct {
		headers []kgo.RecordHeader
		want    uint8
	}{
		{nil, 0},
		{hops("1"), 1},
		{hops("16"), 16},
		{hops("255"), 255},
		{hops("0"), 0},
		{hops("256"), 0},
		{hops("999999999999999999999999"), 0},
		{hops("-1"), 0},
		{hops("+1"), 0},
		{hops("01"), 0},
		{hops(" 1"), 0},
		{hops("1 "), 0},
		{hops("1.0"), 0},
		{hops("1e1"), 0},
		{hops("0x1"), 0},
		{hops("1_0"), 0},
		{hops("١"), 0}, // a digit, of another script
		{hops("\x01"), 0},
		{hops("1\x00"), 0},
		{hops(""), 0},
		{[]kgo.RecordHeader{{Key: headerHops}}, 0},
		{hops(strings.Repeat("1", 1<<20)), 0},
		{hops("3", "7", "x", "5"), 7},
		{hops(strings.Split(strings.Repeat("2 ", 10_000), " ")...), 2},
		{[]kgo.RecordHeader{{Key: "Sp-Hops", Value: []byte("4")}, {Key: headerHops + " ", Value: []byte("4")}}, 0},
	} {
		for _, trusted := range []bool{false, true} {
			of := &kgo.Record{Value: []byte("v"), Headers: append(c.headers, kgo.RecordHeader{Key: "mine"}, kgo.RecordHeader{Key: "sp-key", Value: []byte("k")})}
			r := appendRecords(nil, stream.Partition{Topic: "in"}, []*kgo.Record{of}, trusted)[0]
			if r.Hops != c.want {
				t.Errorf("%.40q: %d hops, want %d", c.headers, r.Hops, c.want)
			}
			if _, shows := r.Header(headerHops); shows {
				t.Errorf("%.40q: the count is among the headers", c.headers)
			}
			if _, ok := r.Header("mine"); !ok {
				t.Errorf("%.40q: the record's own header is gone", c.headers)
			}
			if _, ok := r.Header("sp-key"); ok != trusted {
				t.Errorf("%.40q: trusted %v, and another header of ours is there: %v", c.headers, trusted, ok)
			}
		}
	}
}

func TestHopsAreWrittenWhereThereAreAny(t *testing.T) {
	r := newRig(t)
	r.group.Topics = []string{"out"}
	c := r.dial(t)
	mine := []stream.Header{{Key: "mine", Value: []byte("kept")}}
	c.Write([]stream.Record{{Sink: 1, Hops: 7, Headers: mine}, {Sink: 1, Headers: mine}})
	if refused, err := c.Flush(t.Context()); err != nil || len(refused) != 0 {
		t.Fatalf("refused %d, %v", len(refused), err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.ConsumeTopics("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var got []string
	for len(got) < 2 {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(k *kgo.Record) {
			line := ""
			for _, h := range k.Headers {
				line += h.Key + "=" + string(h.Value) + " "
			}
			got = append(got, line)
		})
	}
	if got[0] != "mine=kept sp-hops=7 " || got[1] != "mine=kept " {
		t.Errorf("the headers are %q, want the count where there is one", got)
	}
	rs, _ := poll(t, c, 2)
	for i, want := range []uint8{7, 0} {
		if rs[i].Hops != want || len(rs[i].Headers) != 1 {
			t.Errorf("record %d came back with %d hops and %d headers", i, rs[i].Hops, len(rs[i].Headers))
		}
	}
}
