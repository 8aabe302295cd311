package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (r *rig) limit(t *testing.T, topic, bytes string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &bytes}}
	if _, err := kadm.NewClient(cl).AlterTopicConfigs(t.Context(), change, topic); err != nil {
		t.Fatal(err)
	}
}

// A hundred records of 1,000 bytes, of which one has more than the topic takes at all.
func hundred() []stream.Record {
	rs := make([]stream.Record, 100)
	for i := range rs {
		rs[i] = stream.Record{Value: bytes.Repeat([]byte("v"), 1000), Sink: 1, Origin: stream.Coordinate{Offset: int64(i)}}
	}
	rs[42].Value = make([]byte, 30_000)
	return rs
}

func TestOnlyTheRecordThatIsTooLargeIsRefused(t *testing.T) {
	r := newRig(t)
	r.limit(t, "out", "20000")
	c := r.dial(t)
	c.Write(hundred())
	refused, err := c.Flush(t.Context())
	if err != nil || len(refused) != 1 || refused[0].Origin.Offset != 42 {
		t.Errorf("refused %d: %v", len(refused), err)
	}
}

// The limit falls while the client lives: what is refused then may be innocent, and is written again by the next one.
func TestALimitThatFallsGivesNoRecordUp(t *testing.T) {
	r := newRig(t)
	c := r.dial(t)
	c.Write(hundred()[:1])
	if refused, err := c.Flush(t.Context()); err != nil || len(refused) > 0 {
		t.Fatalf("refused %d: %v", len(refused), err)
	}
	r.limit(t, "out", "20000")
	c.Write(hundred())
	if _, err := c.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "topic out takes 20000 bytes") {
		t.Errorf("got %v, want to be told of the new limit", err)
	}
	next := r.dial(t)
	next.Write(hundred())
	if refused, err := next.Flush(t.Context()); err != nil || len(refused) != 1 || refused[0].Origin.Offset != 42 {
		t.Errorf("refused %d: %v", len(refused), err)
	}
}
