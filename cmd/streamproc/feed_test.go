package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/internal/devstack"
)

func TestAFeedIsRecordsUpToALineThatIsWrong(t *testing.T) {
	var err error
	var got []devstack.Record
	text := `{"key":"a","value":{"n": 1},"headers":{"id":"7"},"timestamp":1500}` + "\n\nplain\n" + `{"value":1,"key":2}` + "\nlast\n"
	for r := range lines(strings.NewReader(text), "in.jsonl", &err) {
		got = append(got, r)
	}
	want := []devstack.Record{{Key: []byte("a"), Value: []byte(`{"n": 1}`), Headers: map[string]string{"id": "7"}, Timestamp: 1500}, {Value: []byte("plain")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "feed in.jsonl, line 4: key is 2") {
		t.Error(err)
	}
}
