package dedup

import (
	"bytes"
	"testing"
)

func sampleEntry() *entry {
	e := &entry{}
	e.reset(1000, 7)
	e.first(1000, 0, digest{1, 2})
	e.first(1000, 3, digest{3, 4})
	e.first(1017, 0, digest{5, 6})
	e.to = 1100
	return e
}

func TestEntryKeepsVerdictsByOffsetAndSub(t *testing.T) {
	b := sampleEntry().append(nil)
	e, n, err := decodeEntry(b)
	if err != nil || n != len(b) {
		t.Fatalf("decoded %d of %d bytes: %v", n, len(b), err)
	}
	for _, c := range []struct {
		offset int64
		sub    int
		first  bool
	}{{1000, 0, true}, {1000, 1, false}, {1000, 3, true}, {1001, 0, false}, {1017, 0, true}, {1099, 0, false}} {
		if e.isFirst(c.offset, c.sub) != c.first {
			t.Errorf("offset %d sub %d: first is %v", c.offset, c.sub, !c.first)
		}
	}
	if len(e.digests) != 3 || e.to != 1100 || e.gen != 7 {
		t.Errorf("decoded %+v", e)
	}
}

func TestDamagedEntryIsAHole(t *testing.T) {
	b := sampleEntry().append(nil)
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x40
		if _, n, err := decodeEntry(c); err == nil && n > 0 {
			t.Errorf("a flipped bit in byte %d was not noticed", i)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(sampleEntry().append(nil))
	f.Add([]byte{1, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, err := decodeEntry(b)
		if err != nil || n == 0 {
			return
		}
		if again := e.append(nil); !bytes.Equal(again, b[:n]) {
			t.Errorf("%x decodes and encodes to %x", b[:n], again)
		}
	})
}
