package quakes

import (
	"bytes"
	"math"
	"reflect"
	"testing"
)

func TestFeedIsInOrderOfUpdateAndLateInEventTime(t *testing.T) {
	feed, err := Records()
	if err != nil {
		t.Fatal(err)
	}
	if len(feed) != 1707 {
		t.Fatalf("%d reports, want the 1707 of the original", len(feed))
	}
	for i := 1; i < len(feed); i++ {
		if feed[i].Updated < feed[i-1].Updated {
			t.Fatalf("report %d was updated before report %d", i, i-1)
		}
	}
	if share := math.Round(float64(Late(feed)) * 100 / float64(len(feed))); share != 76 {
		t.Errorf("%v %% of the reports are late in event time, want 76", share)
	}
}

func TestIDsOfTheOriginalAreUnique(t *testing.T) {
	feed, err := Records()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, q := range feed {
		if seen[q.ID] {
			t.Errorf("%s comes twice", q.ID)
		}
		seen[q.ID] = true
	}
}

func TestInjectedCopiesAreWhereTheReportSays(t *testing.T) {
	feed, err := Records()
	if err != nil {
		t.Fatal(err)
	}
	repeated, in := InjectRepetition(feed, 5, 200, 1)
	if len(in.Copies) == 0 || len(repeated) != len(feed)+len(in.Copies) {
		t.Fatalf("%d reports became %d with %v", len(feed), len(repeated), in)
	}
	copies := make(map[int]bool)
	for _, c := range in.Copies {
		copies[c.At] = true
		a, b := repeated[c.Original], repeated[c.At]
		if c.Original >= c.At || a.ID != c.ID || b.ID != c.ID || !bytes.Equal(a.Value, b.Value) {
			t.Errorf("copy %+v does not repeat its original", c)
		}
	}
	var rest []Quake
	for i, q := range repeated {
		if !copies[i] {
			rest = append(rest, q)
		}
	}
	if !reflect.DeepEqual(rest, feed) {
		t.Error("without the copies the feed is not the original")
	}
}

func TestSeedDecidesTheRepetition(t *testing.T) {
	feed, err := Records()
	if err != nil {
		t.Fatal(err)
	}
	_, a := InjectRepetition(feed, 5, 200, 7)
	_, b := InjectRepetition(feed, 5, 200, 7)
	_, c := InjectRepetition(feed, 5, 200, 8)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed gave two plans")
	}
	if reflect.DeepEqual(a.Copies, c.Copies) {
		t.Error("two seeds gave one plan")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"features":[{"id":"a","properties":{"time":1,"updated":2}}]}`))
	f.Add([]byte(`{"features":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		quakes, err := Decode(raw)
		if err != nil {
			return
		}
		for i, q := range quakes {
			if q.ID == "" || i > 0 && q.Updated < quakes[i-1].Updated {
				t.Errorf("report %d is out of order or has no id", i)
			}
		}
	})
}
