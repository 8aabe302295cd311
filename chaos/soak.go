package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Growth is how memory and goroutines of one instance went over a run in which nothing broke. Slopes are least squares over
// the later half.
type Growth struct {
	Samples          int     `json:"samples"`
	FirstRSS         int64   `json:"first_rss_bytes"` // at the half
	LastRSS          int64   `json:"last_rss_bytes"`
	RSSPerHour       float64 `json:"rss_bytes_per_hour"`
	FirstGoroutines  int64   `json:"first_goroutines"`
	LastGoroutines   int64   `json:"last_goroutines"`
	GoroutinesAnHour float64 `json:"goroutines_per_hour"`
}

// sample is an instance at one moment.
type sample struct {
	at              time.Time
	rss, goroutines int64
}

const (
	soakRate        = 2000 // records a second
	soakEvery       = time.Second
	soakGoroutines  = 10        // more of them at the end than at the half are a leak
	soakLimit       = 300 << 20 // bytes of RSS
	askAdminTimeout = 2 * time.Second
)

// Soak is a scenario without faults that lasts for d.
func Soak(seed uint64, d time.Duration) Scenario {
	s := plain("soak", seed, int64(soakRate*d.Seconds()/1.05), soakRate, 1)
	s.Load.Poisoned, s.soak = 10_000, true
	return s
}

// watchGrowth samples the first instance until ctx ends.
func (r *rig) watchGrowth(ctx context.Context) error {
	tick := time.NewTicker(soakEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		all := r.all()
		if len(all) == 0 {
			return nil // drained
		}
		n, err := goroutines(ctx, filepath.Join(r.dir, "instance-1.log"))
		if err != nil {
			continue // not up yet, or about to end: a run without samples is reported
		}
		rss, _ := all[0].RSS()
		r.samples = append(r.samples, sample{time.Now(), rss, n})
	}
}

var listening = regexp.MustCompile(`admin"?[=:]"?([0-9.]+:[0-9]+)`)

// goroutines asks an instance, whose log says where, how many it has.
func goroutines(ctx context.Context, log string) (int64, error) {
	raw, err := os.ReadFile(log)
	if err != nil {
		return 0, err
	}
	at := listening.FindSubmatch(raw)
	if at == nil {
		return 0, errors.New("the instance does not say where its metrics are")
	}
	ctx, cancel := context.WithTimeout(ctx, askAdminTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(at[1])+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	return gauge(answer.Body, "go_goroutines ")
}

func gauge(metrics io.Reader, name string) (int64, error) {
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// growth is how the later half of the samples went. While the run begins, memory fills up.
func growth(samples []sample) Growth {
	g := Growth{Samples: len(samples)}
	if samples = samples[len(samples)/2:]; len(samples) < 2 {
		return g
	}
	first, last := samples[0], samples[len(samples)-1]
	g.FirstRSS, g.LastRSS, g.FirstGoroutines, g.LastGoroutines = first.rss, last.rss, first.goroutines, last.goroutines
	g.RSSPerHour = slope(samples, func(s sample) int64 { return s.rss })
	g.GoroutinesAnHour = slope(samples, func(s sample) int64 { return s.goroutines })
	return g
}

// slope is the change in an hour, by least squares.
func slope(samples []sample, of func(sample) int64) float64 {
	var n, x, y, xx, xy float64
	for _, s := range samples {
		hours, v := s.at.Sub(samples[0].at).Hours(), float64(of(s))
		n, x, y, xx, xy = n+1, x+hours, y+v, xx+hours*hours, xy+hours*v
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// trouble says what is wrong with how an instance grew.
func (g Growth) trouble() (list []error) {
	if g.Samples < 10 {
		list = append(list, fmt.Errorf("there are only %d samples of the instance's size", g.Samples))
	}
	if g.LastGoroutines > g.FirstGoroutines+soakGoroutines {
		list = append(list, fmt.Errorf("%d goroutines became %d", g.FirstGoroutines, g.LastGoroutines))
	}
	if g.LastRSS > soakLimit {
		list = append(list, fmt.Errorf("the instance has %d bytes, more than %d", g.LastRSS, soakLimit))
	}
	return list
}

// String is the growth in a line.
func (g Growth) String() string {
	return fmt.Sprintf("RSS %.1f to %.1f MiB (%+.2f MiB an hour), goroutines %d to %d (%+.1f an hour), in the later half of %d samples",
		float64(g.FirstRSS)/(1<<20), float64(g.LastRSS)/(1<<20), g.RSSPerHour/(1<<20), g.FirstGoroutines, g.LastGoroutines, g.GoroutinesAnHour, g.Samples)
}
