package redisstate

import (
	"context"
	"encoding/binary"
	"iter"

	"github.com/streamproc/streamproc/stream"
)

const (
	blobVersion  = 1
	nonceBytes   = 255  // the longest nonce that a blob can name
	nextBytes    = 16   // when it was seen, and its sequence
	restoreBatch = 2000 // keys in one call of RESTORE: some milliseconds of Redis' time
)

// Recover makes token the owner of a partition's state, and the state that of the checkpoint named nonce.
func (s *Space) Recover(ctx context.Context, key stream.StateKey, token, nonce string) error {
	v, err := s.client.one(ctx, "recover", recoverScript, s.tag(key), token, nonce, s.client.keep.Milliseconds())
	if err != nil {
		return err
	}
	word, _ := v.(string)
	return verdict(word)
}

// Next looks keys up, in one round trip.
func (s *Space) Next(ctx context.Context, queries []stream.NextQuery) error {
	calls := make([]call, len(queries))
	for i := range queries {
		q := &queries[i]
		args := make([]any, 0, 1+len(q.Keys))
		args = append(args, q.Nonce)
		for _, k := range q.Keys {
			args = append(args, k)
		}
		calls[i] = call{s.tag(q.Key), args}
	}
	answers, err := s.client.run(ctx, "next", nextScript, calls)
	if err != nil {
		return err
	}
	for i, v := range answers {
		queries[i].Err = nextAnswer(v, &queries[i])
	}
	return nil
}

func nextAnswer(v any, q *stream.NextQuery) error {
	a, ok := v.([]any)
	if !ok || len(a) == 0 {
		return errAnswer
	}
	word, _ := a[0].(string)
	if err := verdict(word); err != nil {
		return err
	}
	if len(a) != 1+len(q.Keys) {
		return errAnswer
	}
	for i, x := range a[1:] {
		text, ok := x.(string)
		if !ok || (len(text) != 0 && len(text) != nextBytes) {
			return errAnswer
		}
		if q.Found[i] = len(text) == nextBytes; q.Found[i] {
			q.Next[i] = stream.Next{Seen: number([]byte(text)), Sequence: number([]byte(text[8:]))}
		}
	}
	return nil
}

// Step stores the changes of a checkpoint, and applies those of the one before, in one round trip.
func (s *Space) Step(ctx context.Context, redos []stream.Redo) error {
	calls := make([]call, len(redos))
	for i := range redos {
		r := &redos[i]
		calls[i] = call{s.tag(r.Key), []any{r.Prev, r.Nonce, blob(r), redoTTL.Milliseconds(), s.client.keep.Milliseconds(), sortable(nil, r.Oldest)}}
	}
	answers, err := s.client.run(ctx, "step", stepScript, calls)
	if err != nil {
		return err
	}
	for i, v := range answers {
		word, _ := v.(string)
		redos[i].Err = verdict(word)
	}
	return nil
}

// Restore replaces the state of a partition, in parts that become valid with the last one.
func (s *Space) Restore(ctx context.Context, key stream.StateKey, token, nonce string, next iter.Seq2[string, stream.Next]) error {
	first := "1"
	var pairs []any
	send := func(last string) error {
		args := append([]any{token, nonce, first, last, s.client.keep.Milliseconds()}, pairs...)
		first, pairs = "0", pairs[:0]
		v, err := s.client.one(ctx, "restore", restoreScript, s.tag(key), args...)
		if err != nil {
			return err
		}
		word, _ := v.(string)
		return verdict(word)
	}
	for k, n := range next {
		if pairs = append(pairs, k, place(nil, n)); len(pairs) >= 2*restoreBatch {
			if err := send("0"); err != nil {
				return err
			}
		}
	}
	return send("1")
}

func blob(r *stream.Redo) []byte {
	prev := r.Prev[:min(len(r.Prev), nonceBytes)]
	b := append([]byte{blobVersion, byte(len(prev))}, prev...)
	for i, k := range r.Keys {
		b = binary.BigEndian.AppendUint32(b, uint32(len(k)))
		b = append(b, k...)
		b = place(b, r.Next[i])
	}
	return b
}

// place writes where a key stands so that it orders as bytes.
func place(b []byte, n stream.Next) []byte { return sortable(sortable(b, n.Seen), n.Sequence) }

// sortable writes a number so that it orders as bytes; number reads it.
func sortable(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)^1<<63) }

func number(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }
