package proxy

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo is a server that says what it hears.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func through(t *testing.T) (*Proxy, net.Conn) {
	p, err := Start("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return p, c
}

func say(t *testing.T, c net.Conn, word string) {
	t.Helper()
	if _, err := c.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("heard %q, %v; want %q", b, err, want)
	}
}

func TestSilenceHoldsBackAndLosesNothing(t *testing.T) {
	p, c := through(t)
	say(t, c, "one")
	hear(t, c, "one")
	p.Silence(true)
	p.Silence(true)
	say(t, c, "two")
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("heard %d bytes (%v) in the silence", n, err)
	}
	p.Silence(false)
	hear(t, c, "two")
}

func TestCutEndsConnectionsAndTakesNewOnes(t *testing.T) {
	p, c := through(t)
	say(t, c, "one")
	hear(t, c, "one")
	p.Cut()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives")
	}
	again, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	say(t, again, "two")
	hear(t, again, "two")
}

func TestTurnedToAnotherServerOldConnectionsEnd(t *testing.T) {
	p, c := through(t)
	say(t, c, "one")
	hear(t, c, "one")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go func() {
		if c, err := other.Accept(); err == nil {
			_, _ = c.Write([]byte("other"))
			_ = c.Close()
		}
	}()
	p.Turn(other.Addr().String())
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the old connection lives")
	}
	again, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	hear(t, again, "other")
}

func TestSlowDelaysEveryChunk(t *testing.T) {
	p, c := through(t)
	p.Slow(20 * time.Millisecond)
	begin := time.Now()
	say(t, c, "one")
	hear(t, c, "one")
	if took := time.Since(begin); took < 40*time.Millisecond {
		t.Errorf("there and back took %v", took)
	}
}
