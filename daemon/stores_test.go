package daemon

import (
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/servers"
)

const kept = `
version: 1
pipelines:
  kept:
    delivery: DELIVERY
    source: { topics: [in] }
    steps: [ { dedup: { key: "key", window: 1m } } ]
    sinks: { out: { topic: big } }
`

func TestAStoreThatMayForgetIsToldAndNotTrustedWithExactlyOnce(t *testing.T) {
	redis := servers.NewRedis(t, servers.RedisOptions{Args: []string{"--appendonly", "no", "--maxmemory-policy", "allkeys-lru"}})
	for delivery, refused := range map[string]bool{"at_least_once": false, "exactly_once": true} {
		d := build(t, strings.ReplaceAll(kept, "DELIVERY", delivery), map[string]string{"KAFKA_BROKERS": "127.0.0.1:1", "REDIS_ADDR": redis.Addr()})
		warnings, err := d.pipelines[0].built.Load().inspect(t.Context())
		if len(warnings) != 2 || !strings.Contains(warnings[0], "noeviction") || !strings.Contains(warnings[1], "appendonly") {
			t.Errorf("%s: warnings are %q", delivery, warnings)
		}
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "allkeys-lru") {
			t.Errorf("%s: %v", delivery, err)
		}
		if !refused {
			continue
		}
		if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "set noeviction") {
			t.Errorf("%s runs: %v", delivery, err)
		}
	}
}
