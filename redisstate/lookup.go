package redisstate

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Lookup reads strings of others under a prefix, and writes nothing.
type Lookup struct {
	client *Client
	prefix string
}

// Lookup returns what lies under a prefix. Nothing else can be asked for.
func (c *Client) Lookup(prefix string) *Lookup { return &Lookup{client: c, prefix: prefix} }

// lookupScript tells of one key without fetching what is too large: 0 there is none, 1 and its value, 2 and the size of a
// value over the limit, 3 and why it cannot be read.
var lookupScript = redis.NewScript(`
local n = redis.pcall('STRLEN', KEYS[1])
if type(n) == 'table' then return {3, n.err} end
if n > tonumber(ARGV[1]) then return {2, n} end
if n == 0 and redis.call('EXISTS', KEYS[1]) == 0 then return {0} end
return {1, redis.call('GET', KEYS[1])}`)

// Get tells of each key in one round trip, in order: its value, nil where there is none, or why that cannot be had. A value
// may have so many bytes. An error of Get itself means that nothing was told; it wraps stream.ErrUnavailable if waiting may
// help. It honours ctx.
func (l *Lookup) Get(ctx context.Context, keys []string, most int, tell func(i int, value []byte, err error)) error {
	calls := make([]call, len(keys))
	for i, k := range keys {
		calls[i] = call{tag: l.prefix + k, args: []any{most}}
	}
	answers, err := l.client.run(ctx, "lookup", lookupScript, calls)
	if err != nil {
		return err
	}
	for i, a := range answers {
		value, err := found(a, most)
		tell(i, value, err)
	}
	return nil
}

var errOddAnswer = errors.New("the answer of Redis is not understood")

func found(answer any, most int) ([]byte, error) {
	a, ok := answer.([]any)
	if !ok || len(a) == 0 {
		return nil, errOddAnswer
	}
	switch kind, _ := a[0].(int64); {
	case kind == 0:
		return nil, nil //nolint:nilnil // no value is an answer
	case len(a) < 2:
		return nil, errOddAnswer
	case kind == 1:
		text, ok := a[1].(string)
		if !ok {
			return nil, errOddAnswer
		}
		return append(make([]byte, 0, len(text)), text...), nil
	case kind == 2:
		return nil, fmt.Errorf("the value of %v bytes is over the limit of %d", a[1], most)
	}
	return nil, fmt.Errorf("redis says %v", a[1])
}

// Ping returns nil once Redis answers to what Get asks. It does not write: this may be a replica, or not let us.
func (l *Lookup) Ping(ctx context.Context) error {
	return l.Get(ctx, []string{""}, 0, func(int, []byte, error) {})
}
