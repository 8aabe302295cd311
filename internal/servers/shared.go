package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// Variables of the environment that name servers which run already; make test sets them, so that all packages share one
// of each.
const (
	KafkaVariable = "STREAMPROC_TEST_KAFKA" // host:port, separated by commas
	RedisVariable = "STREAMPROC_TEST_REDIS" // host:port
)

// shared are the servers that the tests of one process use together. A test takes topics and key prefixes of its own, and
// neither flushes nor stops them.
var shared struct {
	sync.Mutex
	kafka *Kafka
	redis *Redis
}

// Brokers returns the addresses of a Kafka that the tests of this process share. The package's TestMain calls Main.
func Brokers(t testing.TB) []string {
	t.Helper()
	if list := os.Getenv(KafkaVariable); list != "" {
		return strings.Split(list, ",")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.kafka == nil {
		k, err := StartKafka(context.Background(), KafkaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shared.kafka = k
	}
	return shared.kafka.Brokers()
}

// RedisAddr returns the address of a Redis that the tests of this process share. The package's TestMain calls Main.
func RedisAddr(t testing.TB) string {
	t.Helper()
	if addr := os.Getenv(RedisVariable); addr != "" {
		return addr
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.redis == nil {
		r, err := StartRedis(context.Background(), RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shared.redis = r
	}
	return shared.redis.Addr()
}

// Main runs the tests of a package, stops what they shared, and returns the status to exit with.
func Main(m *testing.M) int {
	status := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var errs []error
	if shared.kafka != nil {
		errs = append(errs, shared.kafka.Stop())
	}
	if shared.redis != nil {
		errs = append(errs, shared.redis.Stop())
	}
	shared.kafka, shared.redis = nil, nil
	return errors.Join(errs...)
}

// NewKafka starts a Kafka for one test alone, which may kill it.
func NewKafka(t testing.TB, o KafkaOptions) *Kafka {
	t.Helper()
	k, err := StartKafka(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// NewRedis starts a Redis for one test alone, which may flush or kill it.
func NewRedis(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	r, err := StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}
