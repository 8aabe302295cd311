package redisstate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Report is what Check found out about a server. A setting that may not be read is empty.
type Report struct {
	Version         string
	MaxmemoryPolicy string
	Appendonly      string
	Warnings        []string // sentences, for people
}

// Evicts says that the server may remove state to make room.
func (r *Report) Evicts() bool { return r.MaxmemoryPolicy != "" && r.MaxmemoryPolicy != "noeviction" }

// Check looks at the settings on which the safety of state depends. Of a cluster it tells the least safe of all masters.
func (c *Client) Check(ctx context.Context) (Report, error) {
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		return check(ctx, c.rdb)
	}
	var mu sync.Mutex
	var worst Report
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error {
		r, err := check(ctx, n)
		mu.Lock()
		defer mu.Unlock()
		if worst.Version == "" || len(r.Warnings) > len(worst.Warnings) || r.Evicts() {
			worst = r
		}
		return err
	})
	return worst, err
}

func check(ctx context.Context, n redis.Cmdable) (Report, error) {
	var r Report
	info, err := n.Info(ctx, "server").Result()
	if err != nil {
		return r, classify("asking Redis for its version", err)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			r.Version = strings.TrimSpace(v)
		}
	}
	if r.MaxmemoryPolicy, err = setting(ctx, n, "maxmemory-policy"); err != nil {
		return r, err
	}
	if r.Appendonly, err = setting(ctx, n, "appendonly"); err != nil {
		return r, err
	}
	if r.Evicts() {
		r.Warnings = append(r.Warnings, fmt.Sprintf("maxmemory-policy is %s: Redis may evict state; set noeviction", r.MaxmemoryPolicy))
	}
	if r.Appendonly == "no" {
		r.Warnings = append(r.Warnings, "appendonly is no: a restart of Redis forgets state, which is then derived again from Kafka; set it to yes")
	}
	return r, nil
}

// setting reads one setting, or "" where the server does not let us.
func setting(ctx context.Context, n redis.Cmdable, name string) (string, error) {
	m, err := n.ConfigGet(ctx, name).Result()
	var answer redis.Error
	if errors.As(err, &answer) {
		return "", nil
	}
	if err != nil {
		return "", classify("reading a setting of Redis", err)
	}
	return m[name], nil
}
