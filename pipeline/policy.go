package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/streamproc/streamproc/stream"
)

// OnError says what becomes of a record that a step cannot process.
type OnError string

// The policies.
const (
	ToDeadLetters OnError = "dlq"   // the default
	Drop          OnError = "drop"  // filtered, counted
	Pass          OnError = "pass"  // the input goes on, with the header sp-error
	Retry         OnError = "retry" // in place, with backoff, then to the dead letters
	Stop          OnError = "stop"  // the pipeline halts before it
)

// RetryPolicy bounds the retries of one record: how often it is tried in all, and how long to wait between.
type RetryPolicy struct {
	Attempts int
	Min, Max time.Duration
}

// Policy is a step with what happens to the records that it fails.
type Policy struct {
	Step
	Name    string
	OnError OnError
	Retry   RetryPolicy

	one stream.Batch // the record that is tried again
}

// Unwrap returns the step within.
func (p *Policy) Unwrap() Step { return p.Step }

// Process implements Step.
func (p *Policy) Process(ctx context.Context, b *stream.Batch) error {
	if err := p.Step.Process(ctx, b); err != nil || !b.Settled {
		return err
	}
	switch p.OnError {
	case Drop:
		p.each(b, func(r *stream.Record) { r.Fate, r.Cause = stream.Filtered, nil })
	case Pass:
		p.each(b, func(r *stream.Record) {
			r.SetHeader("sp-error", []byte(r.Cause.Message))
			r.Fate, r.Cause = stream.Flowing, nil
		})
	case Stop:
		for i := range b.Records {
			if r := &b.Records[i]; r.Fate == stream.DeadLettered {
				return fmt.Errorf("%w: step %s, record %v: %s", stream.ErrHalt, p.Name, r.Origin, r.Cause.Message)
			}
		}
	case Retry:
		return p.again(ctx, b)
	}
	return nil
}

func (p *Policy) each(b *stream.Batch, f func(*stream.Record)) {
	for i := range b.Records {
		if b.Records[i].Fate == stream.DeadLettered {
			f(&b.Records[i])
		}
	}
}

// again tries the failed records one by one; later ones wait, so that order is kept.
func (p *Policy) again(ctx context.Context, b *stream.Batch) error {
	merged := b.Rewrite()
	for i := range b.Records {
		if b.Records[i].Fate != stream.DeadLettered {
			merged = append(merged, b.Records[i])
			continue
		}
		if err := p.retry(ctx, b.Records[i]); err != nil {
			return err
		}
		merged = append(merged, p.one.Records...)
	}
	b.Replace(merged)
	return nil
}

func (p *Policy) retry(ctx context.Context, failed stream.Record) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.RandomizationFactor = p.Retry.Min, p.Retry.Max, 1
	for attempt := 2; ; attempt++ {
		cause := *failed.Cause
		cause.Attempts = attempt - 1
		p.one.Reset()
		if attempt > p.Retry.Attempts {
			failed.Cause = &cause
			p.one.Records = append(p.one.Records, failed)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting to try record %v again: %w", failed.Origin, ctx.Err())
		case <-time.After(wait.NextBackOff()):
		}
		r := failed
		r.Fate, r.Cause = stream.Flowing, nil
		p.one.Records = append(p.one.Records, r)
		if err := p.Step.Process(ctx, &p.one); err != nil {
			return err
		}
		again := len(p.one.Records) == 1 && p.one.Records[0].Fate == stream.DeadLettered
		if !again {
			return nil
		}
		failed = p.one.Records[0]
	}
}
