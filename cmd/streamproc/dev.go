package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
)

type devOptions struct {
	paths   []string
	feed    string
	once    bool
	rate    float64
	timeout time.Duration
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run pipelines on a Kafka and a Redis in this process, and show what they do",
		Long: `Run pipelines on a Kafka and a Redis in this process, and show what they do:
what came in, what each step did, what went out, and the ledger.

KAFKA_BROKERS and REDIS_ADDR of the configuration are those of the process.
The default feed is real: the earthquakes of one week, in the order in which
they became known. Every copy in it was injected, and is counted as such. The
feed goes to the first topic of each pipeline.

--feed reads JSON lines, one record a line:

  {"key": "a", "value": {"n": 1}, "headers": {"id": "7"}, "timestamp": "2026-01-31T12:00:00Z"}

Only value is required. It is text, null, or any JSON, which goes in as it
stands; key and headers are text; timestamp is RFC 3339 or milliseconds since
1970. A line that is anything else than an object with a value and none but
these members is the value itself, byte for byte.

--once ends when the feed is through. What still waits for earlier records
then would wait for real in a daemon; here the clock is moved on, and said so.
Without it dev goes on until INT (ctrl-C), and then shows the account.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd, o) },
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.paths, "config", "c", []string{"pipelines.yaml"}, "file, or folder of *.yaml")
	f.StringVar(&o.feed, "feed", "", "file of JSON lines, or - for stdin (default: earthquakes)")
	f.BoolVar(&o.once, "once", false, "end when the feed is through; 0 only if the ledger closes")
	f.Float64Var(&o.rate, "rate", 0, "records fed a second (default: as fast as they are taken)")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how long --once waits for the feed to come through")
	return cmd
}

func dev(cmd *cobra.Command, o devOptions) error {
	parent, stop := signals(cmd.Context(), others{})
	defer stop()
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	stack, err := devstack.Start(ctx, devstack.Options{})
	if err != nil {
		return &exit{exitFailed, err}
	}
	defer stack.Close()
	cfg, err := config.Load(config.Options{Paths: o.paths, LookupEnv: devEnv(stack)})
	if err != nil {
		return err
	}
	if err := local(cfg, stack); err != nil {
		return &exit{exitInvalid, err}
	}
	cfg.Telemetry.LogLevel = "error" // dead letters are shown as records
	log, err := logger(cmd, cfg.Telemetry)
	if err != nil {
		return err
	}
	defer flush(log)
	feed, err := openFeed(o.feed)
	if err != nil {
		return &exit{exitFailed, err}
	}
	defer func() { _ = feed.Close() }()
	s := &session{o: o, cfg: cfg, stack: stack, feed: feed, show: newShow(cmd.OutOrStdout(), cfg)}
	if s.daemon, err = daemon.New(ctx, cfg, daemon.Options{Logger: log, CacheDir: cacheDir(), Compiler: compiler(), Instance: "dev", Now: s.clock.now}); err != nil {
		return unbuilt(err)
	}
	s.show.head(fmt.Sprintf("Kafka %s and Redis %s, in this process", strings.Join(stack.Brokers(), ","), stack.RedisAddr()), cfg.Pipelines, feed)
	err = s.run(ctx)
	if closing := s.daemon.Close(context.WithoutCancel(ctx)); err == nil {
		err = closing
	}
	if err != nil {
		return &exit{exitFailed, err}
	}
	return nil
}

// devEnv gives the addresses of the stack, and else the environment.
func devEnv(stack *devstack.Stack) func(string) (string, bool) {
	return func(name string) (string, bool) {
		switch name {
		case "KAFKA_BROKERS":
			return strings.Join(stack.Brokers(), ","), true
		case "REDIS_ADDR":
			return stack.RedisAddr(), true
		}
		return os.LookupEnv(name)
	}
}

// local refuses a configuration that would write to a server outside this process.
func local(cfg *config.Config, stack *devstack.Stack) error {
	brokers := strings.Join(stack.Brokers(), ",")
	for _, p := range cfg.Pipelines {
		for _, k := range append([]*config.Kafka{p.Source.Kafka, p.DLQ.Kafka}, sinkClusters(p)...) {
			if got := strings.Join(k.Brokers, ","); got != brokers {
				return fmt.Errorf("dev would use the Kafka at %s; write brokers: ${KAFKA_BROKERS} for it to use its own", got)
			}
		}
	}
	for _, r := range cfg.Redis {
		if got := strings.Join(r.Addrs, ","); got != stack.RedisAddr() {
			return fmt.Errorf("dev would use the Redis at %s; write addr: ${REDIS_ADDR} for it to use its own", got)
		}
	}
	return nil
}

func sinkClusters(p *config.Pipeline) []*config.Kafka {
	var list []*config.Kafka
	for _, s := range p.Sinks {
		list = append(list, s.Kafka)
	}
	return list
}
