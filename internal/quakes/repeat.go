package quakes

import (
	"fmt"
	"math/rand/v2"
)

// Injected is the repetition that InjectRepetition put into a feed. None of it is in the original data.
type Injected struct {
	Seed   uint64
	Copies []Copy // in the order of the feed
}

// Copy says where an injected copy stands in the feed, and where the report is that it repeats.
type Copy struct {
	ID       string
	At       int // index of the copy
	Original int // index of what it repeats; lower than At
}

func (in Injected) String() string {
	return fmt.Sprintf("%d copies injected (seed %d)", len(in.Copies), in.Seed)
}

// InjectRepetition returns the feed with copies of percent of its reports, each identical to the byte, and each up to
// distance reports behind the original, as a producer that retries would send them. The seed decides which and where.
func InjectRepetition(feed []Quake, percent, distance int, seed uint64) ([]Quake, Injected) {
	rng := rand.New(rand.NewPCG(seed, seed))
	due := make(map[int][]int) // index in the old feed → originals to be repeated after it
	for i := range feed {
		if rng.IntN(100) < percent {
			at := min(i+1+rng.IntN(max(distance, 1)), len(feed)-1)
			due[at] = append(due[at], i)
		}
	}
	out := make([]Quake, 0, len(feed)+len(feed)*percent/100)
	placed := make([]int, len(feed))
	in := Injected{Seed: seed}
	for i, q := range feed {
		placed[i] = len(out)
		out = append(out, q)
		for _, original := range due[i] {
			in.Copies = append(in.Copies, Copy{ID: feed[original].ID, At: len(out), Original: placed[original]})
			out = append(out, feed[original])
		}
	}
	return out, in
}
