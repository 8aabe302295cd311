package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/internal/quakes"
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
		Long: `Run pipelines on a Kafka and a Redis in this process, and show what they do.

KAFKA_BROKERS and REDIS_ADDR of the configuration are those of the process.
The default feed is real: the earthquakes of one week, in the order in which
they became known. Every copy in it was injected, and is counted as such.

--feed reads one record a line. A JSON object that holds nothing but "key" and
"value" is taken apart: its key is text, its value text or any JSON. Every
other line is the value itself, byte for byte.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd, o) },
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.paths, "config", "c", []string{"pipelines.yaml"}, "file, or folder of *.yaml")
	f.StringVar(&o.feed, "feed", "", "file of one record a line, or - for stdin (default: earthquakes)")
	f.BoolVar(&o.once, "once", false, "end when the feed is through; 0 only if the ledger closes")
	f.Float64Var(&o.rate, "rate", 0, "records fed a second (default: as fast as they are taken)")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how long --once waits for the feed to come through")
	return cmd
}

func dev(cmd *cobra.Command, o devOptions) error {
	parent, stop := signals(cmd.Context(), func(os.Signal) {})
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
	records, story, err := openFeed(o.feed)
	if err != nil {
		return &exit{exitFailed, err}
	}
	d, err := daemon.New(ctx, cfg, daemon.Options{Logger: log, CacheDir: cacheDir(), Compiler: compiler(), Instance: "dev"})
	if err != nil {
		return &exit{exitInvalid, err}
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Kafka %s and Redis %s, in this process\n", strings.Join(stack.Brokers(), ","), stack.RedisAddr())
	for _, p := range cfg.Pipelines {
		plan(out, p)
	}
	fmt.Fprintf(out, "\nfeed: %s\n\n", story)
	s := &session{o: o, cfg: cfg, stack: stack, daemon: d, show: newShow(out, cfg)}
	err = s.run(ctx, records)
	if closing := d.Close(context.WithoutCancel(ctx)); err == nil {
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

// Injected repetition of the default feed: percent of the reports, at most so many reports behind, always the same.
const (
	repeatPercent  = 5
	repeatDistance = 50
	repeatSeed     = 1
)

// openFeed returns the records to feed and a sentence that says what they are.
func openFeed(path string) (iter.Seq[devstack.Record], string, error) {
	if path != "" {
		list, err := readFeed(path)
		if err != nil {
			return nil, "", err
		}
		return values(list), fmt.Sprintf("%d records of %s, nothing injected", len(list), path), nil
	}
	original, err := quakes.Records()
	if err != nil {
		return nil, "", err
	}
	repeated, in := quakes.InjectRepetition(original, repeatPercent, repeatDistance, repeatSeed)
	list := make([]devstack.Record, 0, len(repeated))
	for _, q := range repeated {
		list = append(list, devstack.Record{Key: []byte(q.ID), Value: q.Value})
	}
	return values(list), fmt.Sprintf("%d earthquakes reported to the USGS in February 2018, in order of update; %d (%d %%) late in event time; %s",
		len(original), quakes.Late(original), quakes.Late(original)*100/len(original), in), nil
}

func values(list []devstack.Record) iter.Seq[devstack.Record] {
	return func(yield func(devstack.Record) bool) {
		for _, r := range list {
			if !yield(r) {
				return
			}
		}
	}
}

// session is one run of dev.
type session struct {
	o      devOptions
	cfg    *config.Config
	stack  *devstack.Stack
	daemon *daemon.Daemon
	show   *show
}

func (s *session) run(ctx context.Context, records iter.Seq[devstack.Record]) error {
	running, drain := context.WithCancel(ctx)
	defer drain()
	tailing, untail := context.WithCancel(context.WithoutCancel(ctx))
	defer untail()
	ended, tailed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.daemon.Run(running) }()
	go func() { tailed <- devstack.Tail(tailing, s.stack.Brokers(), s.show.topics(), s.show.record) }()
	fed, err := s.feed(running, records)
	if err == nil {
		err = s.wait(running, fed)
	}
	drain()
	err = errors.Join(err, <-ended)
	s.settle(tailing)
	untail()
	err = errors.Join(err, <-tailed)
	return errors.Join(err, s.show.summary(s.daemon.Status()))
}

// feed sends the records to the first topic of each pipeline and returns how many each got.
func (s *session) feed(ctx context.Context, records iter.Seq[devstack.Record]) (map[string]int64, error) {
	fed, byTopic := map[string]int64{}, map[string]int64{}
	for _, p := range s.cfg.Pipelines {
		topic := p.Source.Topics[0]
		if _, done := byTopic[topic]; !done {
			n, err := devstack.Feed(ctx, s.stack.Brokers(), topic, records, s.o.rate)
			if err != nil && ctx.Err() == nil {
				return nil, err
			}
			byTopic[topic] = int64(n)
		}
		fed[p.Name] = byTopic[topic]
	}
	return fed, nil
}

// lookEvery is how often the account is looked at.
const lookEvery = 50 * time.Millisecond

// wait returns when the feed has come through, with --once; else when ctx ends.
func (s *session) wait(ctx context.Context, fed map[string]int64) error {
	if !s.o.once {
		fmt.Fprintln(s.show.w, "the feed is through; INT (ctrl-C) drains and shows the account")
		<-ctx.Done()
		return nil
	}
	limit := time.After(s.o.timeout)
	for !s.through(fed) {
		select {
		case <-ctx.Done():
			return errors.New("interrupted before the feed was through")
		case <-limit:
			return fmt.Errorf("the feed was not through after %v", s.o.timeout)
		case <-time.After(lookEvery):
		}
	}
	return nil
}

func (s *session) through(fed map[string]int64) bool {
	for _, st := range s.daemon.Status() {
		if st.Ledger.In < fed[st.Name] {
			return false
		}
	}
	return true
}

// settleLimit is how long what was written is waited for.
const settleLimit = 5 * time.Second

// settle waits until the tail has seen what the ledgers say was written.
func (s *session) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var want int64
	for _, st := range s.daemon.Status() {
		for _, n := range st.Outputs {
			want += n
		}
	}
	for s.show.total() < want && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}
