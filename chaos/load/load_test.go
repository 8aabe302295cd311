package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

var small = Load{Seed: 3, IDs: 50_000, Keys: 100, Duplicates: 0.05, Disorder: 0.05, Dropped: 50, Poisoned: 1000}

func TestEveryIDIsWrittenOnceBeforeItsCopy(t *testing.T) {
	seen, copies, late := make([]bool, small.IDs), 0, 0
	high := map[int64]int64{}
	for k := range small.All() {
		switch {
		case k.Copy == 0 && seen[k.ID]:
			t.Fatalf("id %d is written twice as the first", k.ID)
		case k.Copy == 0:
			seen[k.ID] = true
			if small.Seq(k.ID) < high[small.Key(k.ID)] {
				late++
			}
			high[small.Key(k.ID)] = max(high[small.Key(k.ID)], small.Seq(k.ID))
		case !seen[k.ID]:
			t.Fatalf("a copy of id %d comes before it", k.ID)
		default:
			copies++
		}
	}
	for id, ok := range seen {
		if !ok {
			t.Fatalf("id %d is not written", id)
		}
	}
	if copies < 2_300 || copies > 2_700 {
		t.Errorf("%d copies of %d ids", copies, small.IDs)
	}
	if late < 1_200 || late > 2_700 {
		t.Errorf("%d ids are overtaken by one of their key, of %d", late, small.IDs)
	}
}

func TestKeysBegunLaterFillAddedPartitionsAndNoKeyMoves(t *testing.T) {
	grown := small
	grown.Grown = 20_000
	where, next, used := map[int64]int32{}, map[int64]int64{}, map[int32]bool{}
	for id := range grown.IDs {
		key, p := grown.Key(id), grown.Partition(Ticket{ID: id})
		if was, ok := where[key]; ok && was != p || p != grown.Partition(Ticket{id, 1}) {
			t.Fatalf("key %d is in partition %d and %d", key, where[key], p)
		}
		if grown.Seq(id) != next[key] || key >= grown.AllKeys() || id < grown.Grown && p >= Partitions {
			t.Fatalf("id %d is number %d of key %d in partition %d", id, grown.Seq(id), key, p)
		}
		where[key], used[p] = p, true
		next[key]++
	}
	if len(used) != Partitions+Added || int64(len(where)) != grown.AllKeys() {
		t.Errorf("%d partitions, %d keys", len(used), len(where))
	}
}

func TestNothingFromBeforeComesIntoATopicMadeAnew(t *testing.T) {
	anew, begun, n := small, false, 0
	anew.Grown, anew.Anew = 20_000, true
	for k := range anew.All() {
		n++
		if begun = begun || k.ID >= anew.Grown; begun && k.ID < anew.Grown {
			t.Fatalf("%v comes after the topic was made anew", k)
		}
		if p := anew.Partition(k); p >= Partitions {
			t.Fatalf("%v is in partition %d", k, p)
		}
	}
	same := 0
	for range small.All() {
		same++
	}
	if n != same {
		t.Errorf("%d records instead of %d", n, same)
	}
}

func TestScatteredCopiesLieApart(t *testing.T) {
	scattered, apart := small, 0
	scattered.Scattered = true
	for id := range int64(1000) {
		if scattered.Partition(Ticket{id, 0}) != scattered.Partition(Ticket{id, 1}) {
			apart++
		}
	}
	if apart < 650 || apart > 850 {
		t.Errorf("%d of 1000 copies are in another partition", apart)
	}
}

func TestAValueIsJSONThatParseKnows(t *testing.T) {
	fates := map[Fate]int{}
	for id := range int64(20_000) {
		for copied := range 2 {
			b := small.AppendValue(nil, Ticket{id, copied})
			var v struct {
				ID, Key, Kind string
				Copy          int
				Seq           int64
			}
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			if v.ID != fmt.Sprint(id) || v.Copy != copied || v.Key != string(small.AppendKey(nil, id)) || v.Seq != small.Seq(id) || v.Kind != words[small.Fate(id)] {
				t.Fatalf("id %d, copy %d: %s", id, copied, b)
			}
			if got, ok := Parse(b); !ok || got != (Ticket{id, copied}) {
				t.Fatalf("parsed as %v, %v: %s", got, ok, b)
			}
		}
		fates[small.Fate(id)]++
	}
	if fates[Dropped] < 300 || fates[Dead] < 5 || fates[Out] < 19_000 {
		t.Errorf("fates %v", fates)
	}
}

func TestSeedsDiffer(t *testing.T) {
	other := small
	other.Seed++
	same := 0
	for id := range int64(1000) {
		if bytes.Equal(small.AppendValue(nil, Ticket{ID: id}), other.AppendValue(nil, Ticket{ID: id})) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d of 1000 records do not depend on the seed", same)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small.AppendValue(nil, Ticket{7, 1}))
	f.Add([]byte(`{"id":"99999999999999999999","copy":0`))
	f.Add([]byte(`{"id":"7","copy":`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if k, ok := Parse(value); ok && (k.ID < 0 || k.Copy < 0) {
			t.Errorf("%q is ticket %v", value, k)
		}
	})
}
