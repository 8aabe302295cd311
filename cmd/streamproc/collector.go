package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// collectorRoom is how much is allocated at least between two collections of garbage.
const collectorRoom = 48 << 20

const (
	collectorShare = 100     // percent of what lives that is allocated between two collections, as Go has it
	collectorStep  = 4 << 20 // where Go begins, times the share
	collectorDrift = 4       // the setting is changed, which stops all goroutines, if it is wrong by one in so many
)

// spaceCollections has the garbage collected less often than Go would, whose first step is at 4 MiB. Each collection stops all goroutines twice,
// and waits for a guest that runs, which nothing can interrupt: so one plugin at its limits holds up every pipeline as often as there is a
// collection. What lives counts for more than the room once it is larger. GOGC set by the user stands.
func spaceCollections() {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := collectorShare
	tune := func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		want := max(collectorShare, int(collectorShare*collectorRoom/max(live[0].Value.Uint64(), collectorStep)))
		if d := want - percent; max(d, -d)*collectorDrift > percent {
			percent = want
			debug.SetGCPercent(percent)
		}
	}
	tune()
	afterCollections(tune)
}

// afterCollections calls f after each collection, in the goroutine of the runtime that cleans up, for as long as the process lives.
func afterCollections(f func()) {
	type garbage struct{ _ *byte }
	runtime.AddCleanup(&garbage{}, func(f func()) {
		f()
		afterCollections(f)
	}, f)
}
