package redisstate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Report is what Check found out about a server. A setting that may not be read is empty.
type Report struct {
	Version         string
	MaxmemoryPolicy string
	Appendonly      string
	Warnings        []string // sentences, for people
}

// Check looks at the settings on which the safety of state depends.
func (c *Client) Check(ctx context.Context) (Report, error) {
	var r Report
	info, err := c.rdb.Info(ctx, "server").Result()
	if err != nil {
		return r, classify("asking Redis for its version", err)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			r.Version = strings.TrimSpace(v)
		}
	}
	if r.MaxmemoryPolicy, err = c.setting(ctx, "maxmemory-policy"); err != nil {
		return r, err
	}
	if r.Appendonly, err = c.setting(ctx, "appendonly"); err != nil {
		return r, err
	}
	if r.MaxmemoryPolicy != "noeviction" && r.MaxmemoryPolicy != "" {
		r.Warnings = append(r.Warnings, fmt.Sprintf("maxmemory-policy is %s: Redis may evict state; set noeviction", r.MaxmemoryPolicy))
	}
	if r.Appendonly == "no" {
		r.Warnings = append(r.Warnings, "appendonly is no: a restart of Redis forgets state, which is then derived again from Kafka; set it to yes")
	}
	return r, nil
}

// setting reads one setting, or "" where the server does not let us.
func (c *Client) setting(ctx context.Context, name string) (string, error) {
	m, err := c.rdb.ConfigGet(ctx, name).Result()
	var answer redis.Error
	if errors.As(err, &answer) {
		return "", nil
	}
	if err != nil {
		return "", classify("reading a setting of Redis", err)
	}
	return m[name], nil
}
