package chaos

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestGrowthIsTheSlopeOfTheLaterHalf(t *testing.T) {
	var samples []sample
	for i := range 100 {
		s := sample{at: time.Unix(int64(36*i), 0), rss: 100 << 20, goroutines: 50}
		if i >= 50 {
			s.rss, s.goroutines = s.rss+int64(i)<<20, s.goroutines+int64(i)
		}
		samples = append(samples, s)
	}
	g := growth(samples)
	if math.Abs(g.RSSPerHour-100*(1<<20)) > 1 || math.Abs(g.GoroutinesAnHour-100) > 1e-6 {
		t.Errorf("%+v", g)
	}
	if list := g.trouble(); len(list) != 1 || !strings.Contains(list[0].Error(), "100 goroutines became 149") {
		t.Errorf("trouble %v", list)
	}
	if list := growth(samples[:50]).trouble(); len(list) != 0 {
		t.Errorf("a run that does not grow has trouble: %v", list)
	}
	if list := growth(nil).trouble(); len(list) != 1 {
		t.Errorf("a run without samples has %v", list)
	}
}

func TestGaugeIsReadFromMetrics(t *testing.T) {
	text := "# HELP go_goroutines Number\ngo_goroutines 17\n"
	if n, err := gauge(strings.NewReader(text), "go_goroutines "); n != 17 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := gauge(strings.NewReader(text), "go_threads "); err == nil {
		t.Error("a metric that is not there was read")
	}
}
