package main

import (
	"strings"
	"testing"
)

func TestFeedTakesApartOnlyKeyAndValue(t *testing.T) {
	list, err := parseFeed(strings.NewReader("{\"key\":\"a\",\"value\":{\"n\":1}}\n\n{\"key\":\"a\",\"value\":\"text\"}\n{\"value\":1,\"other\":2}\nplain\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"a", `{"n":1}`}, {"a", "text"}, {"", `{"value":1,"other":2}`}, {"", "plain"}}
	if len(list) != len(want) {
		t.Fatalf("%d records, want %d", len(list), len(want))
	}
	for i, w := range want {
		if string(list[i].Key) != w[0] || string(list[i].Value) != w[1] {
			t.Errorf("record %d is %s %s, want %s %s", i, list[i].Key, list[i].Value, w[0], w[1])
		}
	}
}

func TestSamplesCannotControlATerminal(t *testing.T) {
	if got := cut("a\x1b[2Jb\n"); got != "a·[2Jb·" {
		t.Errorf("%q", got)
	}
	if got := cut(strings.Repeat("é", 100)); got != strings.Repeat("é", sampleWidth/2)+"…" {
		t.Errorf("%q", got)
	}
}
