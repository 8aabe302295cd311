package reorder

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Time puts the records of each partition in the order of their event time. It needs no store: the watermark is part of
// the commit.
type Time struct {
	Config
	channels map[stream.Partition]*channel
	out      output
}

// channel is the state of one partition in time mode.
type channel struct {
	head      int64 // offsets below were polled before this membership
	committed int64 // watermark of the last commit before it: what is not after it was settled
	watermark int64 // what is not after it was released
	latest    int64 // greatest event time
	arrivals  int64
	seen      time.Time
	wait      heap[*held]
	floor     floor
	bytes     int
}

// NewTime checks the configuration and returns a step without partitions.
func NewTime(c Config) (*Time, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if c.Time == nil {
		return nil, fmt.Errorf("reorder step %s: time is required", c.Name)
	}
	return &Time{Config: c, channels: map[stream.Partition]*channel{}}, nil
}

// Open begins a partition at its committed watermark.
func (s *Time) Open(_ context.Context, a stream.Assignment) error {
	w := a.Commit.Watermark
	if a.Commit.Floor < 0 {
		w = math.MinInt64
	}
	s.channels[a.Partition] = &channel{head: max(a.Commit.Head, a.Commit.Floor), committed: w, watermark: w, latest: math.MinInt64,
		seen: s.Now(), wait: heap[*held]{less: sooner}, floor: newFloor()}
	return nil
}

// sooner orders by event time, and records of one time as they came.
func sooner(a, b *held) bool {
	if a.order != b.order {
		return a.order < b.order
	}
	return a.arrival < b.arrival
}

// Process holds every record until the watermark has reached it.
func (s *Time) Process(_ context.Context, b *stream.Batch) error {
	now := s.Now()
	s.out.reset(b)
	defer s.out.finish()
	for _, span := range b.Spans {
		if c := s.channels[span.Partition]; c != nil {
			c.seen = now
		}
	}
	for i := range b.Records {
		p := b.Records[i].Origin.Partition
		c := s.channels[p]
		if c == nil {
			return fmt.Errorf("reorder step %s: partition %s was not opened", s.Name, p)
		}
		at, err := s.Time(&b.Records[i])
		if err != nil {
			b.Fail(i, s.cause(err))
			s.out.keep(i)
			continue
		}
		s.offer(c, i, s.plausible(at, b.Records[i].Timestamp, now), now)
		s.release(c, i, now)
	}
	return nil
}

// plausible takes an event time that is too far ahead of the record's timestamp for that: one wrong clock must not make
// everybody else's records late.
func (s *Time) plausible(at, timestamp int64, now time.Time) int64 {
	written := now.UnixMilli()
	if timestamp > 0 { // a log may hold records without one
		written = min(written, timestamp)
	}
	if at > written+s.MaxFuture.Milliseconds() {
		return written
	}
	return at
}

// offer takes record i of event time at.
func (s *Time) offer(c *channel, i int, at int64, now time.Time) {
	b := s.out.batch
	offset := b.Records[i].Origin.Offset
	switch {
	case offset < c.head && at <= c.committed:
		b.Settle(i, stream.Replayed)
		s.out.keep(i)
		return
	case offset >= c.head && at <= c.watermark:
		s.late(b, i)
		s.out.keep(i)
		return
	}
	c.latest = max(c.latest, at)
	if wait := s.MaxWait.Milliseconds(); c.latest > math.MinInt64+wait {
		c.watermark = max(c.watermark, c.latest-wait)
	}
	h := s.out.hold(i)
	h.order, h.arrival, h.since = at, c.arrivals, now
	c.arrivals++
	c.wait.push(h)
	c.floor.hold(offset, now)
	c.bytes += h.record.Size()
}

// release lets go what the watermark has reached, and the soonest while more is held than allowed: the watermark moves to
// it then, so that nothing comes before it later.
func (s *Time) release(c *channel, i int, now time.Time) {
	for c.wait.len() > 0 {
		h := c.wait.top()
		if h.order > c.watermark {
			if c.wait.len() <= s.MaxBuffered && c.bytes <= s.MaxBytes {
				return
			}
			c.watermark = h.order
			if s.Events.Gap != nil {
				s.Events.Gap(h.record.Origin.Partition, "forced")
			}
		}
		c.wait.pop()
		c.floor.release(h.record.Origin.Offset)
		c.bytes -= h.record.Size()
		s.waited(h, now)
		s.out.release(h, i)
	}
}

// Tick lets go what waits in partitions that are read to their end and have brought nothing for IdleTimeout.
func (s *Time) Tick(_ context.Context, b *stream.Batch, now time.Time, caughtUp func(stream.Partition) bool) error {
	s.out.reset(b)
	defer s.out.finish()
	for p, c := range s.channels {
		if c.wait.len() > 0 && caughtUp(p) && now.Sub(c.seen) >= s.IdleTimeout {
			c.watermark = max(c.watermark, c.latest)
			s.release(c, -1, now)
		}
	}
	return nil
}

// Held returns how many inputs wait, and the lowest of their offsets.
func (s *Time) Held(p stream.Partition) (int, int64) {
	c := s.channels[p]
	if c == nil {
		return 0, 0
	}
	return c.floor.lowest()
}

// Oldest returns since when the lowest held offset of p waits, or the zero time.
func (s *Time) Oldest(p stream.Partition) time.Time {
	if c := s.channels[p]; c != nil {
		return c.floor.oldest()
	}
	return time.Time{}
}

// Watermark returns the event time up to which p was released.
func (s *Time) Watermark(p stream.Partition) int64 {
	if c := s.channels[p]; c != nil {
		return c.watermark
	}
	return math.MinInt64
}

// Note is empty: the watermark says it all.
func (s *Time) Note(stream.Partition) string { return "" }

// Close forgets a partition.
func (s *Time) Close(p stream.Partition) { delete(s.channels, p) }
