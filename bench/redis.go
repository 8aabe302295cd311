package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// startRedis runs redis-server on a free port, without persistence, as far as the state of the bench needs none.
func startRedis(ctx context.Context, dir string) (*process, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("finding a port for Redis: %w", err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	p, _, err := start(dir, "redis", false, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--maxmemory-policy", "noeviction", "--dir", dir)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		if _, err := redisCPU(addr); err == nil {
			return p, addr, nil
		}
		select {
		case <-p.exited:
			return nil, "", fmt.Errorf("redis-server ended before it was ready: %s", p.tail())
		case <-ctx.Done():
			return nil, "", fmt.Errorf("waiting for redis-server: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// redisCPU is what a Redis, wherever it runs, says it has used.
func redisCPU(addr string) (time.Duration, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0, fmt.Errorf("connecting to Redis: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("INFO cpu\r\nQUIT\r\n")); err != nil {
		return 0, fmt.Errorf("asking Redis for its CPU: %w", err)
	}
	var used time.Duration
	found := 0
	for s := bufio.NewScanner(conn); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the CPU of Redis: %w", err)
			}
			used += time.Duration(seconds * float64(time.Second))
			found++
		}
	}
	if found != 2 {
		return 0, fmt.Errorf("the Redis at %s does not say what CPU it has used", addr)
	}
	return used, nil
}
