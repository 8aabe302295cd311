package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
	"github.com/streamproc/streamproc/internal/servers"
	"github.com/twmb/franz-go/pkg/kgo"
)

// outage is a rig with a Redis of its own, which the test takes away, and what came out so far.
type outage struct {
	*rig
	redis *servers.Redis
	file  string
	load  load.Load
	next  int64 // id to feed
	seen  map[int64]*kgo.Record
}

func newOutage(t *testing.T, policy string) *outage {
	redis := servers.NewRedis(t, servers.RedisOptions{})
	t.Setenv("STREAMPROC_TEST_REDIS", redis.Addr())
	o := &outage{rig: newRig(t), redis: redis, load: load.Load{Seed: 1, IDs: 1 << 40, Keys: 50}, seen: map[int64]*kgo.Record{}}
	o.file = o.write("policy.yaml", strings.NewReplacer(
		"'value.amount >= 0'", "'value.sum >= 0'",
		"dedup: { key: $.id }", "dedup: { key: $.id, on_unavailable: "+policy+" }").Replace(onceYAML))
	return o
}

// feedNext feeds n new ids, each twice, and a copy of some of those that came before.
func (o *outage) feedNext(n int64) {
	var rs []*kgo.Record
	add := func(id int64, copied int) {
		rs = append(rs, &kgo.Record{Key: o.load.AppendKey(nil, id), Value: o.load.AppendValue(nil, load.Ticket{ID: id, Copy: copied})})
	}
	for id := o.next; id < o.next+n; id++ {
		add(id, 0)
		add(id, 1)
		if id >= n && id%10 == 0 {
			add(id-n, 2)
		}
	}
	o.next += n
	o.feed(rs)
}

// readAll reads the output from its beginning until every id that was fed has come, and wants no copy and order per key.
// What was not committed as Redis went may come again.
func (o *outage) readAll() {
	o.t.Helper()
	clear(o.seen)
	high := map[int64]int64{}
	o.read(o.out, 90*time.Second, func(r *kgo.Record) bool {
		ticket, ok := load.Parse(r.Value)
		key := o.load.Key(ticket.ID)
		switch {
		case !ok || ticket.ID >= o.next:
			o.t.Fatalf("%s came out, which was not fed", r.Value)
		case ticket.Copy != 0:
			o.t.Errorf("a later copy of %d came out", ticket.ID)
		case o.seen[ticket.ID] == nil:
			if ticket.ID < high[key] {
				o.t.Errorf("key %d: %d after %d", key, ticket.ID, high[key])
			}
			o.seen[ticket.ID], high[key] = r, ticket.ID
		}
		return int64(len(o.seen)) == o.next
	})
}

func (o *outage) unchecked() (n int) {
	for _, r := range o.seen {
		for _, h := range r.Headers {
			if h.Key == "sp-dedup" && string(h.Value) == "unchecked" {
				n++
			}
		}
	}
	return n
}

// Redis is silent for ten seconds, then it forgets everything: nothing comes out meanwhile, and everything afterwards.
func TestStallWaitsForRedisAndLosesNothing(t *testing.T) {
	const silence = 10 * time.Second
	o := newOutage(t, "stall")
	in := o.start("run", "-c", o.file)
	o.feedNext(1000)
	o.readAll()
	o.awaitCommit() // what nothing is committed of is not repaired, but begun again
	begin := time.Now()
	if err := o.redis.Pause(t.Context(), silence); err != nil {
		t.Fatal(err)
	}
	o.feedNext(2000)
	o.readAll()
	in.says("stalled", time.Second)
	for id, r := range o.seen {
		if id >= 1000 && r.Timestamp.Before(begin.Add(silence-time.Second)) { // the second is for the two clocks
			t.Fatalf("id %d came out %v after Redis fell silent", id, r.Timestamp.Sub(begin))
		}
	}
	if err := o.redis.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.feedNext(2000)
	o.readAll()
	in.says("dedup state was lost and repaired", 10*time.Second)
	in.drain()
}

// Redis is gone: records go on, marked as unchecked, and what is remembered in memory still tells copies. When Redis is
// back, with nothing in it, so is the promise.
func TestPassGoesOnWithoutRedisAndSaysSo(t *testing.T) {
	o := newOutage(t, "pass")
	in := o.start("run", "-c", o.file)
	o.feedNext(1000)
	o.readAll()
	if n := o.unchecked(); n != 0 {
		t.Errorf("%d records are marked as unchecked while Redis was there", n)
	}
	o.redis.Kill()
	o.feedNext(2000)
	o.readAll()
	if n := o.unchecked(); n != 2000 {
		t.Errorf("%d records are marked as unchecked, of 2000 that came while Redis was gone", n)
	}
	if err := o.redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.redis.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.feedNext(2000)
	o.readAll()
	in.kill()
	o.feedNext(1000)
	o.start("run", "-c", o.file)
	o.readAll()
}

// Redis is gone: the process ends, and says why. Started again when Redis is back and empty, it goes on where it was.
func TestFailEndsTheProcessAndLosesNothing(t *testing.T) {
	o := newOutage(t, "fail")
	in := o.start("run", "-c", o.file)
	o.feedNext(1000)
	o.readAll()
	o.redis.Kill()
	o.feedNext(2000)
	select {
	case <-in.done:
	case <-time.After(60 * time.Second):
		t.Fatal("it runs on")
	}
	if code := in.cmd.ProcessState.ExitCode(); code != 69 || !strings.Contains(in.stderr.String(), "on Redis: dependency is unavailable") {
		t.Errorf("status %d: %s", code, in.stderr)
	}
	if err := o.redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.redis.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	in = o.start("run", "-c", o.file)
	o.readAll()
	in.drain()
}

// Redis answers, but has no memory left, or is a replica: it is waited for like one that is away, without going in and out of
// the group meanwhile.
func TestARedisThatRefusesWritesIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct{ on, off string }{
		"no memory": {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"},
		"a replica": {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutage(t, "stall")
			in := o.start("run", "-c", o.file)
			o.feedNext(1000)
			o.readAll()
			if err := o.redis.Expect(t.Context(), c.on, "+OK"); err != nil {
				t.Fatal(err)
			}
			o.feedNext(1000)
			in.says("worker is stalled", 60*time.Second)
			o.feedNext(1000)
			begun := strings.Count(in.stderr.String(), "worker is starting")
			waits := time.After(3 * time.Second) // in which a worker that does not wait begins again and again
			<-waits
			if n := strings.Count(in.stderr.String(), "worker is starting"); n > begun {
				t.Errorf("the worker began %d times anew while Redis refused writes:\n%s", n-begun, in.stderr)
			}
			if err := o.redis.Expect(t.Context(), c.off, "+OK"); err != nil {
				t.Fatal(err)
			}
			o.readAll()
			in.drain()
		})
	}
}
