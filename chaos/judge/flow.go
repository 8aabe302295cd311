package judge

import (
	"math"
	"slices"
	"time"
)

// Flow is when something new came out, by the partition of the input in which it had stood, to the millisecond. One owner has
// an input partition, so that the loss of an owner shows; an output partition may be fed by all of them. Where records are
// scattered over the input, it is by partition of the output, whose keys have one owner.
type Flow struct {
	epoch      time.Time
	partitions map[int32][]uint32 // in order, each millisecond once
}

func (f *Flow) add(partition int32, ms uint32) {
	at := f.partitions[partition]
	if n := len(at); n == 0 || at[n-1] < ms {
		f.partitions[partition] = append(at, ms)
	}
}

// pauseBetween is how long a partition that flows may well bring nothing.
const pauseBetween = time.Second

// Silence is the longest time in which one partition, that spoke before and after, brought nothing new, and that touches
// the time between from and to; over is the end of the last such time that is longer than a pause, or from. Time before
// from does not count, so that a silence is that since the fault.
func (f *Flow) Silence(from, to time.Time) (longest time.Duration, over time.Time) {
	begin, end := f.since(from), f.since(to)
	last := begin
	for _, at := range f.partitions {
		i, _ := slices.BinarySearch(at, begin)
		for i = max(i, 1); i < len(at) && at[i-1] <= end; i++ {
			gap := time.Duration(at[i]-max(at[i-1], begin)) * time.Millisecond
			longest = max(longest, gap)
			if gap > pauseBetween {
				last = max(last, at[i])
			}
		}
	}
	return longest, f.epoch.Add(time.Duration(last) * time.Millisecond)
}

// Latest is the moment since which every partition of n or more has brought something, or the epoch.
func (f *Flow) Latest(n int) time.Time {
	if len(f.partitions) < n {
		return f.epoch
	}
	latest := uint32(math.MaxUint32)
	for _, at := range f.partitions {
		latest = min(latest, at[len(at)-1])
	}
	return f.epoch.Add(time.Duration(latest) * time.Millisecond)
}

func (f *Flow) since(t time.Time) uint32 { return uint32(max(0, t.Sub(f.epoch).Milliseconds())) }
