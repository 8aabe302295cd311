package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/bench/bid"
)

// Turn is one run of one program. CPU is for a million records of input, between the first record that arrived and the last.
type Turn struct {
	Floor            bool    `json:"floor"`
	CPU              float64 `json:"cpu_seconds_per_million"`
	BrokerCPU        float64 `json:"broker_cpu_seconds_per_million"`
	RedisCPU         float64 `json:"redis_cpu_seconds_per_million"`
	StartupCPU       float64 `json:"startup_cpu_seconds"`
	RecordsPerSecond float64 `json:"records_per_second"`
	PeakRSSBytes     int64   `json:"peak_rss_bytes"`
	bid.Verdict
}

func (r Turn) cpu() float64 { return r.CPU }

const (
	pause   = 2 * time.Millisecond // between two looks at the sink: a look costs the broker some 20 µs
	stalled = 20 * time.Second     // without a record the run is over and what is missing is lost
)

// sample is what all processes have used at one moment, and how many records had arrived.
type sample struct {
	at                  time.Time
	program, broker, db time.Duration
	arrived             int64
	peakRSS             int64
}

// stage is where programs run: the services of a bench and one scenario's input.
type stage struct {
	*topics
	brokerPID int    // 0: not ours, its CPU is unknown
	redis     string // "": none
	fed, want int64
}

// measure starts nothing and stops nothing: it watches the sink from the first record to the last.
func (s *stage) measure(ctx context.Context, p *process, out string) (first, last sample, err error) {
	moved := time.Now()
	for {
		_, n, err := s.ends(ctx, out)
		if err != nil {
			return first, last, err
		}
		if n > last.arrived {
			moved = time.Now()
			if last, err = s.sample(p, n); err != nil {
				return first, last, err
			}
			if first.arrived == 0 {
				first = last
			}
		}
		if n >= s.want || time.Since(moved) > stalled {
			return first, last, nil
		}
		select {
		case <-ctx.Done():
			return first, last, ctx.Err()
		case <-p.exited:
			return first, last, p.ended()
		case <-time.After(pause):
		}
	}
}

func (s *stage) sample(p *process, arrived int64) (x sample, err error) {
	x.at, x.arrived = time.Now(), arrived
	if x.program, err = cpuTime(p.pid()); err != nil {
		return x, err
	}
	if s.brokerPID != 0 {
		if x.broker, err = cpuTime(s.brokerPID); err != nil {
			return x, err
		}
	}
	if s.redis != "" {
		if x.db, err = redisCPU(s.redis); err != nil {
			return x, err
		}
	}
	x.peakRSS, err = peakRSS(p.pid())
	return x, err
}

// figures turns two samples into a run. Duplicates that a step removes never arrive, so what arrived is scaled to what was fed.
func (s *stage) figures(first, last sample) Turn {
	r := Turn{StartupCPU: first.program.Seconds(), PeakRSSBytes: last.peakRSS}
	records := float64(last.arrived-first.arrived) * float64(s.fed) / float64(s.want)
	if records <= 0 {
		return r
	}
	perMillion := func(d time.Duration) float64 { return d.Seconds() / records * 1e6 }
	r.CPU = perMillion(last.program - first.program)
	r.BrokerCPU = perMillion(last.broker - first.broker)
	r.RedisCPU = perMillion(last.db - first.db)
	if took := last.at.Sub(first.at).Seconds(); took > 0 {
		r.RecordsPerSecond = records / took
	}
	return r
}

// run measures one program, ends it, and judges its output.
func (s *stage) run(ctx context.Context, dir, name, out string, discount bool, distinct int64, argv []string) (Turn, error) {
	p, _, err := start(dir, name, false, argv...)
	if err != nil {
		return Turn{}, err
	}
	first, last, err := s.measure(ctx, p, out)
	if stopErr := p.stop(); err == nil && stopErr != nil {
		err = fmt.Errorf("stopping %s: %w: %s", name, stopErr, p.tail())
	}
	if err != nil {
		return Turn{}, err
	}
	r := s.figures(first, last)
	j := bid.NewJudge(distinct, discount)
	if err := s.judge(ctx, out, j); err != nil {
		return r, err
	}
	r.Verdict = j.Verdict()
	return r, nil
}
