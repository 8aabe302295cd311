package stream

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCloneSharesNothing(t *testing.T) {
	fill := func(s string) []byte { return []byte(s) }
	fresh := func() Record {
		return Record{Key: fill("k"), Value: []byte{}, Headers: []Header{{"a", fill("1")}, {"b", nil}}, Timestamp: 3,
			Original: &Original{Value: fill("was"), Headers: []Header{{"c", fill("2")}}, Timestamp: 4}}
	}
	r, want := fresh(), fresh()
	c := r.Clone()
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("the clone differs (-want +got):\n%s", diff)
	}
	r.Key[0], r.Headers[0].Value[0], r.Original.Value[0], r.Original.Headers[0].Value[0] = 'x', 'x', 'x', 'x'
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("the clone shares memory (-want +got):\n%s", diff)
	}
	if n := c.Size(); n != 4 {
		t.Errorf("the size is %d, want 1 of the key and 3 of the original", n)
	}
}
