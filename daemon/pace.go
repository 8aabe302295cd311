package daemon

import (
	"time"

	"github.com/streamproc/streamproc/config"
	"golang.org/x/time/rate"
)

// paceBeat is how much of its pace a pipeline may take at once.
const paceBeat = 200 * time.Millisecond

// paceOf is the pace that all workers of a pipeline share; nil: as fast as they go.
func paceOf(p *config.Pipeline) *rate.Limiter {
	if p.RecordsPerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(p.RecordsPerSecond), pollRecords(p))
}

// pollRecords is how many records one poll brings: where there is a pace, no more than what is due in a moment.
func pollRecords(p *config.Pipeline) int {
	if p.RecordsPerSecond == 0 {
		return p.Source.PollRecords
	}
	return min(p.Source.PollRecords, max(1, int(float64(p.RecordsPerSecond)*paceBeat.Seconds())))
}
