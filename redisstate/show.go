package redisstate

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/streamproc/streamproc/stream"
)

// Held is what Redis holds for one step and partition.
type Held struct {
	Head    int64 // dedup: end offset of the partition log; -1: there is none
	Bytes   int64 // dedup: of its segments
	Current bool  // reorder: the checkpoint that was asked for is applied, or can be
	Keys    int64 // reorder: keys with a sequence
}

// showScript: nonce.
var showScript = redis.NewScript(scriptHead + applyScript + `
local m = call('HMGET', meta, 'h', 'first', 'last')
local bytes = 0
for n = tonumber(m[2] or '1'), tonumber(m[3] or '0') do bytes = bytes + call('STRLEN', segment(n)) end
local a = call('HGET', nexts, 'a')
local keys = call('HLEN', nexts)
if a then keys = keys - 1 end
local b = call('GET', tag .. ':redo:' .. ARGV[1])
local current = (a or '') == ARGV[1] or (b and prevOf(b) == (a or ''))
return {m[1] or '-1', bytes, current and 1 or 0, keys}`)

// dropScript: nothing. Redo blobs stay until they expire: without the sequences that they follow they are void.
var dropScript = redis.NewScript(scriptHead + `
local m = call('HMGET', meta, 'first', 'last')
for n = tonumber(m[1] or '1'), tonumber(m[2] or '0') do call('DEL', segment(n)) end
call('DEL', meta, tag .. ':next', tag .. ':next:new')
return 'OK'`)

// Show looks at the state of a partition, as of the checkpoint named nonce, without touching it.
func (s *Space) Show(ctx context.Context, key stream.StateKey, nonce string) (h Held, err error) {
	v, err := s.client.one(ctx, "show", showScript, s.tag(key), nonce)
	if err != nil {
		return h, err
	}
	a, ok := v.([]any)
	if !ok || len(a) != 4 {
		return h, errAnswer
	}
	head, _ := a[0].(string)
	if h.Head, err = strconv.ParseInt(head, 10, 64); err != nil {
		return h, fmt.Errorf("%w: %w", errAnswer, err)
	}
	h.Bytes, _ = a[1].(int64)
	current, _ := a[2].(int64)
	h.Current = current == 1
	h.Keys, _ = a[3].(int64)
	return h, nil
}

// Drop forgets the state of a partition. Whoever works on it finds that it is lost.
func (s *Space) Drop(ctx context.Context, key stream.StateKey) error {
	_, err := s.client.one(ctx, "drop", dropScript, s.tag(key))
	return err
}
