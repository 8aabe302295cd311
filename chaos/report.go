package chaos

import (
	"time"

	"github.com/streamproc/streamproc/chaos/judge"
	"github.com/streamproc/streamproc/chaos/load"
)

// Report is what a run found. Its JSON names are stable.
type Report struct {
	Scenario     string          `json:"scenario"`
	Seed         uint64          `json:"seed"`
	Begun        time.Time       `json:"begun"`
	Machine      string          `json:"machine"`
	Commit       string          `json:"commit"`
	Delivery     string          `json:"delivery"`
	Brokers      int             `json:"brokers"`
	Redis        []string        `json:"redis,omitempty"`
	Pipelines    int             `json:"pipelines"`
	Rate         int             `json:"rate"`
	Scale        float64         `json:"scale"` // of records and faults
	Load         load.Load       `json:"load"`
	Records      int64           `json:"records"` // written, copies included
	Verdicts     []judge.Verdict `json:"verdicts"`
	Faults       []Happened      `json:"faults"`
	Unexcused    []Unexcused     `json:"unexcused,omitempty"`
	Trouble      []string        `json:"trouble,omitempty"` // what went wrong but for the records
	Seconds      float64         `json:"seconds"`
	Settled      float64         `json:"settled_seconds"`   // from the last record written and the last fault to the last record out
	CaughtUp     float64         `json:"caught_up_seconds"` // from the last fault's end to the last record out, the writing of the last records included
	SlowestDrain float64         `json:"slowest_drain_seconds"`
	PeakRSS      int64           `json:"peak_rss_bytes"` // of the largest instance
	RedisPeak    int64           `json:"redis_peak_bytes"`
	RedisBound   int64           `json:"redis_bound_bytes"` // what it may have been at most
	Growth       *Growth         `json:"growth,omitempty"`  // of a soak
}

// Happened is a fault as it happened.
type Happened struct {
	Fault     string    `json:"fault"`
	Planned   bool      `json:"planned,omitempty"`
	Sudden    bool      `json:"sudden,omitempty"`
	Crowded   bool      `json:"crowded,omitempty"` // another came before the output had recovered: what it took is not its own
	Overdue   bool      `json:"overdue,omitempty"` // the plan waited for its recovery in vain
	Times     int       `json:"times,omitempty"`   // how many it broke at once; 0 is one
	Unfed     bool      `json:"unfed,omitempty"`   // nothing was written any more: silence says nothing
	Begin     time.Time `json:"begin"`
	Broken    time.Time `json:"broken"`
	Mending   time.Time `json:"mending,omitzero"`
	End       time.Time `json:"end"`
	Recovered time.Time `json:"recovered"`        // when the last long silence of a partition had ended
	Silence   float64   `json:"silence_seconds"`  // the longest of a partition, from the breaking
	Recovery  float64   `json:"recovery_seconds"` // likewise, from the mending; where it was sudden, from the breaking
	Repeats   int       `json:"repeats"`          // output that came again until the fault must be over
	shown     time.Time // what it does has begun by then
}

// Unexcused are repeats of a pipeline that no fault explains, by when they came.
type Unexcused struct {
	Pipeline string    `json:"pipeline"`
	First    time.Time `json:"first"`
	Again    time.Time `json:"again"`
	Records  int       `json:"records"`
}

// Sum is the verdict over all pipelines.
func (r Report) Sum() (sum judge.Verdict) {
	for _, v := range r.Verdicts {
		sum = sum.Add(v)
	}
	return sum
}

// once says that nothing may come out twice.
func (r Report) once() bool { return r.Delivery != AtLeastOnce }

// Sound says whether every promise was kept.
func (r Report) Sound() bool {
	return len(r.Verdicts) > 0 && r.Sum().Sound(r.once()) && len(r.Trouble) == 0
}

// Count is how often each fault happened.
func (r Report) Count() map[string]int {
	n := map[string]int{}
	for _, h := range r.Faults {
		n[h.Fault] += max(1, h.Times)
	}
	return n
}

// measured says whether the recovery is that of this fault alone.
func (h Happened) measured() bool { return !h.Planned && !h.Crowded && !h.Unfed }

// crowd marks faults between which the output did not recover.
func crowd(faults []Happened) {
	for i := 1; i < len(faults); i++ {
		if before, h := &faults[i-1], &faults[i]; before.Recovered.After(h.Begin) {
			before.Crowded, h.Crowded = before.Crowded || !before.Overdue, true
		}
	}
}

// excuses are the times in which repeats are legitimate. Where the output did not recover before the next fault, they last
// until that one is over.
func excuses(faults []Happened) (list []judge.Excuse) {
	for i, h := range faults {
		if h.Planned {
			continue
		}
		e := judge.Excuse{Begin: h.Begin.Add(-uncommitted), End: h.over()}
		for at, next := h, i+1; next < len(faults) && at.Recovered.After(faults[next].Begin); next++ {
			at = faults[next]
			e.End = later(e.End, at.over())
		}
		list = append(list, e)
	}
	return list
}

// over is when the last of what a fault did must have been seen.
func (h Happened) over() time.Time { return later(h.End.Add(aftermath), h.Recovered.Add(time.Second)) }

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
