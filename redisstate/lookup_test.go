package redisstate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/streamproc/streamproc/stream"
)

// seed puts strings, and a list, beside each other.
func seed(t *testing.T, addr string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	ctx := t.Context()
	if err := errors.Join(c.MSet(ctx, "user:7", "seven", "user:empty", "", "user:bytes", "\x00\xff", "user:", "bare", "other", "hidden", "user:long", strings.Repeat("x", 65)).Err(),
		c.RPush(ctx, "user:list", 1).Err()); err != nil {
		t.Fatal(err)
	}
}

// lookups reads keys of at most 64 bytes into text.
func lookups(t *testing.T, l *Lookup, keys ...string) string {
	t.Helper()
	var out []string
	err := l.Get(t.Context(), keys, 64, func(i int, value []byte, err error) {
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("%s: %v", keys[i], err))
		case value == nil:
			out = append(out, keys[i]+" absent")
		default:
			out = append(out, fmt.Sprintf("%s %q", keys[i], value))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

const wantedLookups = `7 "seven"
8 absent
empty ""
bytes "\x00\xff"
other absent
long: the value of 65 bytes is over the limit of 64
list: redis says WRONGTYPE Operation against a key holding the wrong kind of value
7 "seven"`

func checkLookups(t *testing.T, addr string) {
	t.Helper()
	seed(t, addr)
	l := open(t, addr).Lookup("user:")
	if got := lookups(t, l, "7", "8", "empty", "bytes", "other", "long", "list", "7"); got != wantedLookups {
		t.Errorf("it tells\n%s\nwanted\n%s", got, wantedLookups)
	}
	if err := l.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRealRedisTellsOfEachKey(t *testing.T) {
	addr, stop := server(t)
	checkLookups(t, addr)
	l := open(t, addr).Lookup("user:")
	stop()
	err := l.Get(t.Context(), []string{"7"}, 64, func(int, []byte, error) { t.Error("it tells of a key") })
	if !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("without a server it says %v", err)
	}
	if err := l.Ping(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("without a server the ping says %v", err)
	}
}

func TestMiniredisTellsOfEachKey(t *testing.T) { checkLookups(t, miniredis.RunT(t).Addr()) }

// A user who may read what lies under the prefix, and nothing else, is enough.
func TestALookupWantsNoMoreThanToRead(t *testing.T) {
	addr, _ := server(t)
	seed(t, addr)
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">pw", "~user:*", "+strlen", "+exists", "+get", "+eval", "+evalsha").Err(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(Options{Addrs: []string{addr}, Username: "reader", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := c.Lookup("user:")
	if got := lookups(t, l, "7", "8"); got != "7 \"seven\"\n8 absent" {
		t.Errorf("it tells\n%s", got)
	}
	if err := l.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Lookup("oth").Get(t.Context(), []string{"er"}, 64, func(int, []byte, error) {}); err == nil || errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("beside its prefix it says %v", err)
	}
}
