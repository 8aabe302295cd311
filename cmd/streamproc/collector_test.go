package main

import (
	"runtime"
	"testing"
)

var garbage []byte

// TestCollectionsAreApart makes garbage for eight collections; Go by itself would have a hundred.
func TestCollectionsAreApart(t *testing.T) {
	t.Setenv("GOGC", "")
	spaceCollections()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const wanted = 8
	for range wanted * collectorRoom >> 20 {
		garbage = make([]byte, 1<<20)
	}
	runtime.ReadMemStats(&after)
	if n := after.NumGC - before.NumGC; n > 2*wanted {
		t.Errorf("%d MiB of garbage took %d collections, with %d MiB alive", wanted*collectorRoom>>20, n, before.HeapAlloc>>20)
	}
}
