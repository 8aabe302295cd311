package redisstate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamproc/streamproc/stream"
)

var errAnswer = errors.New("redis gave an answer of another shape than the script's")

// Take makes token the writer of a partition log and says what there is.
func (s *Space) Take(ctx context.Context, key stream.StateKey, token string, secret []byte) (stream.LogState, error) {
	v, err := s.client.one(ctx, "take", takeScript, s.tag(key), token, secret, s.client.keep.Milliseconds())
	if err != nil {
		return stream.LogState{}, err
	}
	return takeAnswer(v)
}

func takeAnswer(v any) (st stream.LogState, err error) {
	a, ok := v.([]any)
	if !ok || len(a) < 3 {
		return st, errAnswer
	}
	var text [3]string
	for i := range text {
		if text[i], ok = a[i].(string); !ok {
			return st, errAnswer
		}
	}
	if st.Head, err = strconv.ParseInt(text[0], 10, 64); err != nil {
		return st, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if st.First, err = strconv.ParseInt(text[1], 10, 64); err != nil {
		return st, fmt.Errorf("%w: %w", errAnswer, err)
	}
	st.Secret = []byte(text[2])
	for _, l := range a[3:] {
		n, ok := l.(int64)
		if !ok {
			return st, errAnswer
		}
		st.Lengths = append(st.Lengths, n)
	}
	return st, nil
}

// Read returns part of a segment.
func (s *Space) Read(ctx context.Context, key stream.StateKey, segment, from int64, n int) ([]byte, error) {
	begin := time.Now()
	b, err := s.client.rdb.GetRange(ctx, fmt.Sprintf("%s:s:%d", s.tag(key), segment), from, from+int64(n)-1).Bytes()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if err != nil {
		b, err = nil, classify("reading a segment from Redis", err)
	}
	s.client.observe("read", time.Since(begin), err)
	return b, err
}

// Append adds entries to partition logs, in one round trip.
func (s *Space) Append(ctx context.Context, entries []stream.LogAppend) error {
	calls := make([]call, len(entries))
	for i := range entries {
		e := &entries[i]
		init := "0"
		if e.Init {
			init = "1"
		}
		calls[i] = call{s.tag(e.Key), []any{e.Token, e.From, e.To, e.Segment, e.Length, e.First, init, s.client.keep.Milliseconds(), e.Data}}
	}
	answers, err := s.client.run(ctx, "append", appendScript, calls)
	if err != nil {
		return err
	}
	for i, v := range answers {
		entries[i].Err = appendAnswer(v)
	}
	return nil
}

func appendAnswer(v any) error {
	a, ok := v.([]any)
	if !ok || len(a) != 2 {
		return errAnswer
	}
	word, _ := a[0].(string)
	if err := verdict(word); err != nil {
		return fmt.Errorf("the log ends at %v: %w", a[1], err)
	}
	return nil
}

// Cut ends a partition log.
func (s *Space) Cut(ctx context.Context, key stream.StateKey, token string, segment, length, head int64) error {
	v, err := s.client.one(ctx, "cut", cutScript, s.tag(key), token, segment, length, head, s.client.keep.Milliseconds())
	if err != nil {
		return err
	}
	word, _ := v.(string)
	return verdict(word)
}
