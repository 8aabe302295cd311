package aimed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Member runs one member as a process: subject engine runs the engine by a configuration file, subject session the loop
// that franz-go's documentation gives. A line "arm N" on its standard input stops it before its next request of kind N;
// TERM drains it.
func Member(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: member engine FILE INSTANCE | member session GROUP INSTANCE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	f := newFrost()
	go obey(os.Stdin, f)
	if args[0] == "session" {
		return session(ctx, f, args[1], args[2])
	}
	cfg, err := config.Load(config.Options{Paths: []string{args[1]}})
	if err != nil {
		return err
	}
	log := slog.New(&window{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})})
	d, err := daemon.New(ctx, cfg, daemon.Options{Logger: log, Instance: args[2], Dial: f.dial,
		Client: func(_ int, c pipeline.Client) pipeline.Client { return &worker{c, f} }})
	if err != nil {
		return err
	}
	return errors.Join(d.Run(ctx), d.Close(context.WithoutCancel(ctx)))
}

func obey(in io.Reader, f *frost) {
	for s := bufio.NewScanner(in); s.Scan(); {
		if n, err := strconv.Atoi(strings.TrimPrefix(s.Text(), "arm ")); err == nil {
			f.arm(int32(n)) //nolint:gosec // a small number, written by try
			fmt.Println("armed")
		}
	}
}

// lostWindow is how long the callback of a lost membership lasts in a member: the window of B2, held open.
const lostWindow = time.Second

// window holds the goroutine that tells of a lost membership.
type window struct{ slog.Handler }

func (w *window) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "the membership is lost" {
		<-time.After(lostWindow)
	}
	return w.Handler.Handle(ctx, r)
}

func (w *window) WithAttrs(as []slog.Attr) slog.Handler { return &window{w.Handler.WithAttrs(as)} }
func (w *window) WithGroup(name string) slog.Handler    { return &window{w.Handler.WithGroup(name)} }

const (
	sessionWindow = 50 * time.Millisecond // what the hook of a lost membership takes, in subject session
	sessionWork   = 60 * time.Millisecond // what the application does with a batch
	sessionPoll   = 10
)

// slowHook is an application that does something when it hears of trouble with its group.
type slowHook struct{}

// OnGroupManageError implements kgo.HookGroupManageError.
func (slowHook) OnGroupManageError(error) { <-time.After(sessionWindow) }

// session consumes, transforms and produces as franz-go's documentation says.
func session(ctx context.Context, f *frost, group, instance string) error {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...), kgo.Dialer(f.dial),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(group+".in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.SessionTimeout(sessionTimeout), kgo.HeartbeatInterval(sessionTimeout/6), kgo.TransactionalID(group+"."+instance), kgo.TransactionTimeout(sessionTimeout),
		kgo.WithHooks(slowHook{}))
	if err != nil {
		return err
	}
	defer s.Close()
	for ctx.Err() == nil {
		for f.busy() {
			<-time.After(look)
		}
		f.poll.Lock()
		px, cancel := context.WithTimeout(ctx, 10*look)
		fetches := s.PollRecords(px, sessionPoll)
		cancel()
		f.poll.Unlock()
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(context.Background(), &kgo.Record{Topic: group + ".out", Key: r.Key, Value: r.Value}, nil)
		})
		<-time.After(sessionWork)
		if _, err := s.End(context.Background(), kgo.TryCommit); err != nil {
			fmt.Fprintln(os.Stderr, "ending:", err)
		}
	}
	return nil
}
