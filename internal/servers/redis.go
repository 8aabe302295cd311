package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/internal/process"
)

// RedisOptions describe a Redis. The zero value keeps everything through a restart, but for the last second at a kill.
type RedisOptions struct {
	Args []string // more arguments of redis-server, e.g. "--appendonly", "no"
	Disk bool     // FillDisk may be asked for
}

// Redis is a redis-server. Its methods are for one goroutine at a time, but for Addr, Ask, Expect and Memory.
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
	path, args := "redis-server", append(args, r.options.Args...)
	if r.options.Disk { // a signal that is ignored stays ignored: the write fails instead
		path, args = "sh", append([]string{"-c", `trap "" XFSZ; exec redis-server "$@"`, "sh"}, args...)
	}
	p, err := process.Start(process.Options{Path: path, Log: filepath.Join(r.dir, "redis.log"), Args: args})
	if err != nil {
		return err
	}
	r.process = p
	return p.Await(ctx, func(ctx context.Context) error { return r.Expect(ctx, "PING", "+PONG") })
}

// Pause makes it silent for d: it takes connections and commands, and answers afterwards.
func (r *Redis) Pause(ctx context.Context, d time.Duration) error {
	return r.Expect(ctx, fmt.Sprintf("CLIENT PAUSE %d ALL", d.Milliseconds()), "+OK")
}

// FlushAll makes it forget everything.
func (r *Redis) FlushAll(ctx context.Context) error { return r.Expect(ctx, "FLUSHALL", "+OK") }

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

// Signal sends it a signal.
func (r *Redis) Signal(s syscall.Signal) {
	if r.process != nil {
		r.process.Signal(s)
	}
}

// FillDisk lets it write nothing more to its files, as on a full disk.
func (r *Redis) FillDisk() error { return r.process.LimitFiles(1) }

// FreeDisk ends that, and starts it if it has ended for it.
func (r *Redis) FreeDisk(ctx context.Context) error {
	if !r.process.Running() {
		r.process = nil
		return r.Restart(ctx)
	}
	return r.process.LimitFiles(0)
}

// Follow makes it a replica, and waits until it has all that the master has.
func (r *Redis) Follow(ctx context.Context, master *Redis) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if err := r.Expect(ctx, fmt.Sprintf("REPLICAOF 127.0.0.1 %d", master.port), "+OK"); err != nil {
		return err
	}
	return r.process.Await(ctx, func(ctx context.Context) error { return r.says(ctx, "INFO replication", "master_link_status:up") })
}

// CutLog takes bytes off the end of what a Redis that does not run has written down: it comes back as it was before. It
// returns how much was cut, which is less where there is less.
func (r *Redis) CutLog(bytes int64) (int64, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("Redis has no append-only log in %s (%w)", r.dir, err)
	}
	slices.Sort(files)
	last := files[len(files)-1]
	info, err := os.Stat(last)
	if err != nil {
		return 0, fmt.Errorf("looking at the log of Redis: %w", err)
	}
	bytes = min(bytes, info.Size())
	if err := os.Truncate(last, info.Size()-bytes); err != nil {
		return 0, fmt.Errorf("cutting the log of Redis: %w", err)
	}
	return bytes, nil
}

// Memory is how many bytes Redis uses.
func (r *Redis) Memory(ctx context.Context) (int64, error) {
	answer, err := r.Ask(ctx, "EVAL \"return tonumber(redis.call('info', 'memory'):match('used_memory:(%d+)'))\" 0")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimPrefix(answer, ":"), 10, 64)
}

// Expect sends a command and compares the first line of the answer.
func (r *Redis) Expect(ctx context.Context, command, want string) error {
	got, err := r.Ask(ctx, command)
	if err == nil && got != want {
		return fmt.Errorf("Redis answers %q to %s", got, command)
	}
	return err
}

// Ask sends one line of the inline protocol and returns the first line of the answer.
func (r *Redis) Ask(ctx context.Context, command string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return "", fmt.Errorf("dialling Redis: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", fmt.Errorf("sending %s to Redis: %w", command, err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading what Redis answers to %s: %w", command, err)
	}
	return strings.TrimSpace(answer), nil
}
