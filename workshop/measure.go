package workshop

import (
	"context"
	"errors"
	"time"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Measure is what a record costs in batches of one size.
type Measure struct {
	Batch           int     `json:"batch"`
	Records         int     `json:"records"`
	NanosPerRecord  float64 `json:"nanoseconds_per_record"` // least of the rounds, of this process
	FuelPerRecord   float64 `json:"fuel_per_record"`
	FailedPerRecord float64 `json:"failed_per_record"`
	MemoryBytes     uint32  `json:"memory_bytes"`
}

const rounds = 5 // the least of them is told: what is above it is what else the machine did

// Measure hands the records over and over to one instance, in batches of size n, for about so long in all.
func (p *Plugin) Measure(ctx context.Context, records []Record, n int, about time.Duration) (m Measure, err error) {
	if len(records) == 0 {
		return m, errors.New("there are no records to measure with")
	}
	m.Batch = n
	var fuel int64
	g, err := p.guest(ctx, runtime.Events{Fuel: func(units int64) { fuel += units }, Memory: func(b uint32) { m.MemoryBytes = b }})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	fuel = 0                                                       // that of the start is no record's
	template := batchOf(repeated(records, n*len(records))).Records // whatever the size, all records have their turn
	at, failed := 0, 0
	for range rounds {
		took, done := time.Duration(0), 0
		for took < about/rounds {
			b := &stream.Batch{Records: append([]stream.Record(nil), template[at:at+n]...)}
			at = (at + n) % len(template)
			begin := time.Now()
			if err := g.Process(ctx, b); err != nil {
				return m, err
			}
			took += time.Since(begin)
			done += n
			failed += failures(b)
		}
		m.Records += done
		if each := float64(took.Nanoseconds()) / float64(done); m.NanosPerRecord == 0 || each < m.NanosPerRecord {
			m.NanosPerRecord = each
		}
	}
	m.FuelPerRecord, m.FailedPerRecord = float64(fuel)/float64(m.Records), float64(failed)/float64(m.Records)
	return m, nil
}

func repeated(records []Record, n int) []Record {
	list := make([]Record, n)
	for i := range list {
		list[i] = records[i%len(records)]
	}
	return list
}

func failures(b *stream.Batch) (n int) {
	for i := range b.Records {
		if b.Records[i].Fate == stream.DeadLettered {
			n++
		}
	}
	return n
}
