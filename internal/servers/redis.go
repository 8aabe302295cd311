package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/streamproc/streamproc/internal/process"
)

// RedisOptions describe a Redis. The zero value keeps everything through a restart, but for the last second at a kill.
type RedisOptions struct {
	Args []string // more arguments of redis-server, e.g. "--appendonly", "no"
}

// Redis is a redis-server. Its methods are for one goroutine at a time.
type Redis struct {
	options RedisOptions
	dir     string
	port    int
	process *process.Process
}

// StartRedis starts a Redis and waits until it answers. Stop it in the end: that removes its data.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "streamproc-redis-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for Redis: %w", err)
	}
	r := &Redis{options: o, dir: dir, port: ports[0]}
	if err := r.Restart(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// Addr returns its address, as host:port.
func (r *Redis) Addr() string { return local(r.port) }

// Restart starts it, if it is not running, on its old data and port.
func (r *Redis) Restart(ctx context.Context) error {
	if r.process != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	args := []string{"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir, "--appendonly", "yes", "--save", ""}
	p, err := process.Start(process.Options{Path: "redis-server", Log: filepath.Join(r.dir, "redis.log"), Args: append(args, r.options.Args...)})
	if err != nil {
		return err
	}
	r.process = p
	return p.Await(ctx, func(ctx context.Context) error { return r.command(ctx, "PING", "+PONG") })
}

// Pause makes it silent for d: it takes connections and commands, and answers afterwards.
func (r *Redis) Pause(ctx context.Context, d time.Duration) error {
	return r.command(ctx, fmt.Sprintf("CLIENT PAUSE %d ALL", d.Milliseconds()), "+OK")
}

// FlushAll makes it forget everything.
func (r *Redis) FlushAll(ctx context.Context) error { return r.command(ctx, "FLUSHALL", "+OK") }

// Kill ends it as a power cut would.
func (r *Redis) Kill() {
	if r.process != nil {
		r.process.Kill()
		r.process = nil
	}
}

// Stop ends it and removes its data. Nothing can be done with it afterwards.
func (r *Redis) Stop() error {
	r.Kill() // the data go away: nothing is gained by an orderly end
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("removing the data of Redis: %w", err)
	}
	return nil
}

// command sends one line of the inline protocol and compares the answer.
func (r *Redis) command(ctx context.Context, line, want string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return fmt.Errorf("dialling Redis: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
		return fmt.Errorf("sending %s to Redis: %w", line, err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading what Redis answers to %s: %w", line, err)
	}
	if got := strings.TrimSpace(answer); got != want {
		return fmt.Errorf("Redis answers %q to %s", got, line)
	}
	return nil
}
