package dedup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamproc/streamproc/stream"
)

const (
	retryEvery   = time.Second // how often a store that is away is tried, when the policy is to pass
	backlogBytes = 64 << 20    // entries kept for a store that is away; beyond it they are derived again from Kafka
)

func newToken() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// flush stores the gathered entries.
func (s *Step) flush(ctx context.Context) error {
	err := s.send(ctx, s.appends)
	s.appends, s.buffer = s.appends[:0], s.buffer[:0]
	return err
}

func (s *Step) send(ctx context.Context, appends []stream.LogAppend) error {
	if len(appends) == 0 {
		return nil
	}
	if err := s.Store.Append(ctx, appends); err != nil {
		return fmt.Errorf("dedup step %s: appending to %d partition logs: %w", s.Name, len(appends), err)
	}
	for i := range appends {
		if err := appends[i].Err; err != nil {
			return fmt.Errorf("dedup step %s: appending to the log of partition %s at %d: %w", s.Name, appends[i].Key.Partition, appends[i].From, err)
		}
	}
	return nil
}

// store writes the verdicts of a batch, or does what the policy says when it cannot.
func (s *Step) store(ctx context.Context, b *stream.Batch, now time.Time) error {
	if s.retryAt.After(now) {
		s.postpone(b)
		return nil
	}
	if err := s.look(ctx); err != nil {
		return s.passed(b, now, err)
	}
	if len(s.backlog) == 0 {
		return s.passed(b, now, s.send(ctx, s.appends))
	}
	err := s.send(ctx, slices.Concat(s.backlog, s.appends))
	if err == nil {
		s.backlog, s.backlogBytes = nil, 0
	}
	return s.passed(b, now, err)
}

// passed lets the batch go on when the store is away and the policy allows it.
func (s *Step) passed(b *stream.Batch, now time.Time, err error) error {
	if !errors.Is(err, stream.ErrUnavailable) {
		return err
	}
	if err := s.away(err); err != nil {
		return err
	}
	s.retryAt = now.Add(retryEvery)
	s.postpone(b)
	return nil
}

// look tries the store for a partition of which nothing is known. When the store is there, the worker has to begin again.
func (s *Step) look(ctx context.Context) error {
	for _, p := range s.parts {
		if !p.blind {
			continue
		}
		if _, err := s.Store.Take(ctx, p.key, newToken(), newSecret()); err != nil {
			return err
		}
		return fmt.Errorf("dedup step %s: the store is back, and records passed unchecked: %w", s.Name, stream.ErrLost)
	}
	return nil
}

// away says what to do about a store that is away: nil goes on without it.
func (s *Step) away(err error) error {
	switch s.OnUnavailable {
	case Pass:
		return nil
	case Fail:
		return fmt.Errorf("%w: %w", stream.ErrFailed, err)
	}
	return err
}

// postpone keeps the entries for later and marks the records. The window in memory goes on judging: a copy that it knows
// is a copy. Beyond the limit the oldest entries are given up; the store then finds a gap and says ErrLost.
func (s *Step) postpone(b *stream.Batch) {
	for _, a := range s.appends {
		a.Data = slices.Clone(a.Data)
		s.backlog = append(s.backlog, a)
		s.backlogBytes += len(a.Data)
	}
	for s.backlogBytes > backlogBytes && len(s.backlog) > 1 {
		s.backlogBytes -= len(s.backlog[0].Data)
		s.backlog = s.backlog[1:]
	}
	for i := range b.Records {
		r := &b.Records[i]
		p := s.parts[r.Origin.Partition]
		if r.Fate == stream.Flowing && p != nil && !p.blind {
			s.uncheck(r)
		}
	}
}

func (s *Step) forgetBacklog(p stream.Partition) {
	s.backlog = slices.DeleteFunc(s.backlog, func(a stream.LogAppend) bool {
		gone := a.Key.Partition == p
		if gone {
			s.backlogBytes -= len(a.Data)
		}
		return gone
	})
}
