package reorder_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/reorder"
	"github.com/streamproc/streamproc/stream"
)

// TestARealRedisThatWasRolledBackIsRepaired cuts the tail of the append-only file, as a power cut does, while records wait.
func TestARealRedisThatWasRolledBackIsRepaired(t *testing.T) {
	server := servers.NewRedis(t, servers.RedisOptions{Args: []string{"--appendfsync", "always"}})
	client, err := redisstate.Open(redisstate.Options{Addrs: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rebuilt := 0
	tr := try(t, reorder.Config{MaxWait: time.Hour, Events: reorder.Events{Rebuilt: func(stream.Partition, int, reorder.StateLoss) { rebuilt++ }}})
	tr.config.Store = client.Space("p", "r")
	tr.must(tr.open())
	for n := range 20 {
		a, b := fmt.Sprint("a ", n), fmt.Sprint("b ", n)
		late := fmt.Sprint("c ", n^1) // each pair of c comes the wrong way round, and one of it waits through the checkpoint
		want := fmt.Sprintf("a%d b%d", n, n)
		if n%2 == 1 {
			want = fmt.Sprintf("a%d b%d c%d c%d", n, n, n-1, n)
		}
		tr.want(tr.feed(a, b, late), want)
		tr.checkpoint(fmt.Sprint("n", n))
		if n%5 != 4 {
			continue
		}
		server.Kill()
		if _, err := server.CutLog(int64(200 + 300*n)); err != nil {
			t.Fatal(err)
		}
		tr.must(server.Restart(t.Context()))
		s := tr.step.(*reorder.Sequence)
		if err := s.Prepare(t.Context(), "x", []stream.Partition{part}); !errors.Is(err, stream.ErrLost) && !errors.Is(err, stream.ErrUnavailable) {
			t.Fatalf("the first call after the roll-back: %v, want lost", err)
		}
		tr.want(tr.again(), "")
	}
	if rebuilt != 4 {
		t.Errorf("rebuilt %d times, want 4", rebuilt)
	}
}
