// Package proxy stands between a client and a server, and makes the way between them slow, silent or short.
package proxy

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy copies what connections carry. Its methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	dial     string

	mu    sync.Mutex            // over dial too
	pairs map[net.Conn]net.Conn // by the client's end; nil: it is closed
	delay time.Duration         // of every chunk
	calm  chan struct{}         // closed while bytes flow
	wg    sync.WaitGroup
}

// chunkBytes is how much is passed on at a time: with a delay of d, a connection carries this much in each d.
const chunkBytes = 64 << 10

const dialTimeout = time.Second

// Start listens at an address (port 0: a free one) and passes connections on to another.
func Start(listen, dial string) (*Proxy, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listening in the place of %s: %w", dial, err)
	}
	p := &Proxy{listener: l, dial: dial, pairs: map[net.Conn]net.Conn{}, calm: make(chan struct{})}
	close(p.calm)
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.DialTimeout("tcp", p.target(), dialTimeout)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.wg.Go(func() { p.carry(client, client, server) })
		p.wg.Go(func() { p.carry(client, server, client) })
	}
}

func (p *Proxy) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dial
}

// Turn passes new connections on to another server, and ends the old ones.
func (p *Proxy) Turn(dial string) {
	p.mu.Lock()
	p.dial = dial
	p.mu.Unlock()
	p.Cut()
}

// keep takes note of a connection, unless all of them are closed already.
func (p *Proxy) keep(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pairs == nil {
		_ = client.Close()
		_ = server.Close()
		return false
	}
	p.pairs[client] = server
	return true
}

// carry copies one way until either end is closed, and then closes both.
func (p *Proxy) carry(client, from, to net.Conn) {
	defer p.end(client)
	b := make([]byte, chunkBytes)
	for {
		n, err := from.Read(b)
		p.wait()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait holds a chunk back as long as it is to be.
func (p *Proxy) wait() {
	p.mu.Lock()
	delay, calm := p.delay, p.calm
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	<-calm
}

func (p *Proxy) end(client net.Conn) {
	p.mu.Lock()
	server, ok := p.pairs[client]
	delete(p.pairs, client)
	p.mu.Unlock()
	if ok {
		_ = client.Close()
		_ = server.Close()
	}
}

// Slow delays every chunk, in both directions; 0 ends it.
func (p *Proxy) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Silence holds everything back, connections being kept and taken, until it is told otherwise.
func (p *Proxy) Silence(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.calm:
		if on {
			p.calm = make(chan struct{})
		}
	default:
		if !on {
			close(p.calm)
		}
	}
}

// Cut ends all connections at once, each with a reset, so that what is on the way is lost. New ones are taken.
func (p *Proxy) Cut() { p.cut(map[net.Conn]net.Conn{}) }

func (p *Proxy) cut(next map[net.Conn]net.Conn) {
	p.mu.Lock()
	pairs := p.pairs
	p.pairs = next
	p.mu.Unlock()
	for client, server := range pairs {
		for _, c := range []net.Conn{client, server} {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
	}
}

// Close ends everything, and waits for it.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Silence(false)
	p.cut(nil)
	p.wg.Wait()
	if err != nil {
		return fmt.Errorf("ending the proxy of %s: %w", p.dial, err)
	}
	return nil
}
