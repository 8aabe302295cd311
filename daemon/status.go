// Package daemon loads, builds, runs and stops pipelines. build.go is the one place where the parts meet.
package daemon

import (
	"cmp"
	"slices"
	"time"

	"github.com/streamproc/streamproc/pipeline"
)

// Status is what one pipeline is doing.
type Status struct {
	Name       string            `json:"name"`
	State      pipeline.State    `json:"state"`
	Why        string            `json:"why,omitempty"` // a sentence, where it is not ready or the state needs one
	Ready      bool              `json:"ready"`
	Checks     map[string]string `json:"checks"` // kafka, redis, plugins and lag: ok, or a sentence
	Ledger     pipeline.Counts   `json:"ledger"`
	Difference int64             `json:"difference"` // of the ledger, over its partitions without sign
	Outputs    map[string]int64  `json:"outputs"`    // records written, by sink
	Steps      []Step            `json:"steps"`      // in the order of the configuration; those of branches behind their route
	Partitions []Partition       `json:"partitions"`

	insecure int // servers whose certificate is not checked
}

// Step is what a step has done since the process began. What was done again is in it again, which the ledger is not.
type Step struct {
	Name         string  `json:"name"`
	Verb         string  `json:"verb"`
	Branch       bool    `json:"branch,omitempty"` // it stands in a branch of a route
	In           int64   `json:"in"`
	Out          int64   `json:"out"`
	Filtered     int64   `json:"filtered"`
	Duplicates   int64   `json:"duplicates"` // found, whatever became of them
	Late         int64   `json:"late"`       // found, whatever became of them
	DeadLettered int64   `json:"dead_lettered"`
	Held         int64   `json:"held"` // as of the last checkpoints
	Seconds      float64 `json:"seconds"`

	oldest time.Duration // how long the oldest held one has waited
}

// Partition is where the reading of one partition stands, and its account.
type Partition struct {
	Topic      string          `json:"topic"`
	ID         int32           `json:"partition"`
	Owned      bool            `json:"owned"` // by this process
	Floor      int64           `json:"floor"` // committed
	End        int64           `json:"end"`   // when it was last fetched from
	LagRecords int64           `json:"lag_records"`
	LagSeconds float64         `json:"lag_seconds"`
	Ledger     pipeline.Counts `json:"ledger"`
}

// Status tells what the pipelines are doing, in the order of the configuration.
func (d *Daemon) Status() []Status {
	pipelines := d.running()
	list := make([]Status, len(pipelines))
	for i, r := range pipelines {
		list[i] = r.status(time.Now())
	}
	return list
}

func (r *running) status(now time.Time) Status {
	s := Status{Name: r.cfg.Name, Ledger: r.spec.Ledger.Counts(), Difference: r.spec.Ledger.Difference(), Outputs: r.spec.Ledger.Outputs(),
		Steps: r.board.stepsNow(now), Partitions: r.partitions(now), Checks: map[string]string{}}
	s.State, s.Why = r.board.state()
	s.Ready = s.State == pipeline.Running || s.State == pipeline.Starting && s.Why == ""
	s.Checks["lag"] = lagSentence(s.Partitions)
	built := r.built.Load()
	for _, p := range built.plugins {
		if err := p.Ready(); err != nil {
			s.Checks["plugins"] = err.Error()
			break
		}
		s.Checks["plugins"] = "ok"
	}
	s.insecure = built.insecure()
	s.Checks["kafka"] = r.kafka.sentence(now)
	for _, store := range built.redis() {
		if s.Checks["redis"] == "" || s.Checks["redis"] == "ok" {
			s.Checks["redis"] = store.pulse.sentence(now)
		}
	}
	if s.State == pipeline.Running && r.kafka.silence(now) > silenceLimit {
		s.Ready, s.Why = false, "Kafka is silent: "+s.Checks["kafka"]
	}
	return s
}

// partitions joins what is known of the partitions read now with the account of all that were.
func (r *running) partitions(now time.Time) []Partition {
	list := []Partition{}
	owned := r.board.standingsNow()
	for p, counts := range r.spec.Ledger.Partitions() {
		part := Partition{Topic: p.Topic, ID: p.ID, Ledger: counts}
		if s, ok := owned[p]; ok {
			part.place(s, now)
			delete(owned, p)
		}
		list = append(list, part)
	}
	for p, s := range owned { // it has stalled before its first checkpoint
		part := Partition{Topic: p.Topic, ID: p.ID}
		part.place(s, now)
		list = append(list, part)
	}
	slices.SortFunc(list, func(a, b Partition) int { return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID, b.ID)) })
	return list
}

func (p *Partition) place(s pipeline.Standing, now time.Time) {
	p.Owned, p.Floor, p.End, p.LagRecords = true, s.Floor, s.End, max(s.End-s.Floor, 0)
	if s.End > s.Next && s.Last > 0 {
		p.LagSeconds = max(now.Sub(time.UnixMilli(s.Last)), 0).Seconds()
	}
}
