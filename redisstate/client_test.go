package redisstate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/streamproc/streamproc/internal/statetest"
	"github.com/streamproc/streamproc/stream"
)

// server starts a redis-server on a free port, for the time of the test.
func server(t testing.TB) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command("redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting redis-server (install the package redis-server): %v", err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return fmt.Sprintf("127.0.0.1:%d", port), stop
}

func open(t testing.TB, addr string) *Client {
	t.Helper()
	c, err := Open(Options{Addrs: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err = c.Ping(context.Background()); err == nil {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer after 20 s: %v", err)
		}
	}
}

type backend struct {
	*Client
	t testing.TB
}

func (b backend) Space(pipeline, step string) statetest.Space { return b.Client.Space(pipeline, step) }

func (b backend) Wipe() {
	if err := b.rdb.FlushAll(context.Background()).Err(); err != nil {
		b.t.Fatal(err)
	}
}

func (b backend) Snapshot() func() {
	ctx := context.Background()
	dump := map[string]string{}
	for _, k := range b.rdb.Keys(ctx, "*").Val() {
		dump[k] = b.rdb.Dump(ctx, k).Val()
	}
	return func() {
		b.Wipe()
		for k, v := range dump {
			if err := b.rdb.Restore(ctx, k, time.Hour, v).Err(); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// mini is the Redis of dev and of simulations.
type mini struct {
	*Client
	server *miniredis.Miniredis
}

func (m mini) Space(pipeline, step string) statetest.Space { return m.Client.Space(pipeline, step) }

func (m mini) Wipe() { m.server.FlushAll() }

func (m mini) Snapshot() func() {
	texts, hashes := map[string]string{}, map[string]map[string]string{}
	for _, k := range m.server.Keys() {
		if m.server.Type(k) == "hash" {
			hashes[k] = map[string]string{}
			fields, _ := m.server.HKeys(k)
			for _, f := range fields {
				hashes[k][f] = m.server.HGet(k, f)
			}
			continue
		}
		texts[k], _ = m.server.Get(k)
	}
	return func() {
		m.Wipe()
		for k, v := range texts {
			_ = m.server.Set(k, v)
		}
		for k, h := range hashes {
			for f, v := range h {
				m.server.HSet(k, f, v)
			}
		}
	}
}

func TestMiniredisPassesTheSuite(t *testing.T) {
	server := miniredis.RunT(t)
	statetest.Run(t, mini{open(t, server.Addr()), server})
}

func TestBlobsGoWhenTheyAreApplied(t *testing.T) {
	server := miniredis.RunT(t)
	space := open(t, server.Addr()).Space("p", "s")
	prev := ""
	for i := range 20 {
		redo := []stream.Redo{{Prev: prev, Nonce: fmt.Sprint(i), Keys: []string{"k"}, Next: []stream.Next{{Sequence: int64(i)}}}}
		if err := space.Step(t.Context(), redo); err != nil || redo[0].Err != nil {
			t.Fatal(err, redo[0].Err)
		}
		prev = redo[0].Nonce
	}
	if keys := server.Keys(); len(keys) > 4 { // the one of Ping, two of the partition, the last blob
		t.Errorf("after 20 checkpoints Redis holds %d keys: %q", len(keys), keys)
	}
}

func TestRedisPassesTheSuite(t *testing.T) {
	addr, _ := server(t)
	statetest.Run(t, backend{open(t, addr), t})
}

func TestEveryKeyExpiresAndHoldsNothingOfTheUsers(t *testing.T) {
	addr, _ := server(t)
	c := open(t, addr)
	statetest.Run(t, backend{c, t})
	ctx := context.Background()
	keys := c.rdb.Keys(ctx, "*").Val()
	if len(keys) == 0 {
		t.Fatal("the suite left no keys to look at")
	}
	for _, k := range keys {
		if ttl := c.rdb.PTTL(ctx, k).Val(); ttl <= 0 {
			t.Errorf("key %s has no time to live", k)
		}
		if strings.Contains(k, "pipeline") || strings.Contains(k, "Suite") {
			t.Errorf("key %s holds a name", k)
		}
	}
}

func TestStoppedServerIsUnavailable(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	addr, stop := server(t)
	c := open(t, addr)
	space := c.Space("p", "s")
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := space.Take(ctx, stream.StateKey{}, "t", []byte("s")); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("Take: %v", err)
	}
	if err := c.Ping(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	c.Close()
}

func TestAServerThatRefusesWritesIsUnavailable(t *testing.T) {
	for name, refuse := range map[string][]any{"without memory": {"CONFIG", "SET", "maxmemory", "1"}, "a replica": {"REPLICAOF", "127.0.0.1", "1"}} {
		addr, _ := server(t)
		c := open(t, addr)
		ctx := context.Background()
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.rdb.Do(ctx, refuse...).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Space("p", "s").Take(ctx, stream.StateKey{}, "t", []byte("s")); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("Take %s: %v", name, err)
		}
		if err := c.Ping(ctx); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("Ping %s: %v", name, err)
		}
	}
}

func TestWrongPasswordIsNotWaitedFor(t *testing.T) {
	addr, _ := server(t)
	c := open(t, addr)
	ctx := context.Background()
	if err := c.rdb.ConfigSet(ctx, "requirepass", "right").Err(); err != nil {
		t.Fatal(err)
	}
	wrong, err := Open(Options{Addrs: []string{addr}, Password: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	err = wrong.Ping(ctx)
	if err == nil || errors.Is(err, stream.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Ping with a wrong password: %v", err)
	}
}

func TestScriptsAreSentAgainAfterTheServerForgotThem(t *testing.T) {
	addr, _ := server(t)
	c := open(t, addr)
	ctx := context.Background()
	for range 2 {
		if err := c.rdb.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Space("p", "s").Take(ctx, stream.StateKey{}, "t", []byte("s")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckReportsUnsafeSettings(t *testing.T) {
	addr, _ := server(t)
	c := open(t, addr)
	ctx := context.Background()
	if err := c.rdb.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	r, err := c.Check(ctx)
	if err != nil || r.MaxmemoryPolicy != "allkeys-lru" || r.Appendonly != "no" || len(r.Warnings) != 2 || r.Version == "" {
		t.Errorf("report is %+v (%v)", r, err)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("OK", "12345678", int64(3))
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		for _, v := range []any{a, n, nil, []any{}, []any{a}, []any{a, b}, []any{a, b, n}, []any{b, a, b, n}} {
			_, _ = takeAnswer(v)
			_ = appendAnswer(v)
			q := &stream.NextQuery{Keys: []string{"k"}, Next: make([]stream.Next, 1), Found: make([]bool, 1)}
			if err := nextAnswer(v, q); err == nil && q.Found[0] && len(b) != nextBytes {
				t.Errorf("%v was taken for a sequence", v)
			}
		}
	})
}

func TestWhatIsShownIsThereUntilItIsDropped(t *testing.T) {
	server := miniredis.RunT(t)
	space, key := open(t, server.Addr()).Space("p", "s"), stream.StateKey{Partition: stream.Partition{Topic: "t", ID: 1}}
	show := func(nonce string, want Held) {
		t.Helper()
		if h, err := space.Show(t.Context(), key, nonce); err != nil || h != want {
			t.Errorf("shown is %+v, want %+v (%v)", h, want, err)
		}
	}
	show("n1", Held{Head: -1})
	if keys := server.Keys(); len(keys) > 1 { // the one of Ping is there
		t.Errorf("looking left %q", keys)
	}
	if _, err := space.Take(t.Context(), key, "a", []byte("s")); err != nil {
		t.Fatal(err)
	}
	e := []stream.LogAppend{{Key: key, Token: "a", From: 5, To: 9, Segment: 1, First: 1, Data: []byte("12345"), Init: true}}
	redo := []stream.Redo{{Key: key, Nonce: "n1", Keys: []string{"k", "l"}, Next: []stream.Next{{Sequence: 1}, {Sequence: 2}}}}
	if err := errors.Join(space.Append(t.Context(), e), e[0].Err, space.Step(t.Context(), redo), redo[0].Err); err != nil {
		t.Fatal(err)
	}
	show("n1", Held{Head: 9, Bytes: 5, Current: true})
	if err := space.Recover(t.Context(), key, "a", "n1"); err != nil {
		t.Fatal(err)
	}
	show("n1", Held{Head: 9, Bytes: 5, Current: true, Keys: 2})
	show("n2", Held{Head: 9, Bytes: 5, Keys: 2})
	if err := space.Drop(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	show("n1", Held{Head: -1})
	if err := space.Append(t.Context(), e); err != nil || !errors.Is(e[0].Err, stream.ErrLost) {
		t.Errorf("the owner appends: %v, want lost (%v)", e[0].Err, err)
	}
}
