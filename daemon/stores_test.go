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

// TestServersWhoseCertificateIsNotCheckedAreCounted has a cluster twice, and one Redis that keeps state and is read too.
func TestServersWhoseCertificateIsNotCheckedAreCounted(t *testing.T) {
	const yaml = `version: 1
resources:
  kafka: { main: { brokers: ["127.0.0.1:1"], tls: INSECURE }, other: { brokers: ["127.0.0.1:2"], tls: { server_name: x } } }
  redis: { state: { addrs: ["127.0.0.1:3"], tls: INSECURE } }
pipelines:
  p:
    source: { kafka: main, topics: [in] }
    steps: [ { dedup: { key: $.id } } ]
    sinks: { out: { topic: out } }
    dlq: { kafka: other }
`
	for tls, want := range map[string]string{"true": "0", "{ insecure_skip_verify: true }": "2"} {
		d := build(t, strings.ReplaceAll(yaml, "INSECURE", tls), map[string]string{})
		if r := (&rig{T: t, d: d}); !strings.Contains(r.scrape(), `streamproc_insecure_servers{pipeline="p"} `+want+"\n") {
			t.Errorf("with tls: %s, %s are not counted", tls, want)
		}
	}
}
