package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/internal/provenance"
)

// Run measures every scenario and reports. It starts processes and has ended them all when it returns. An unsound result,
// records lost or spoilt, is in the report and no error.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	if err := o.complete(); err != nil {
		return Report{}, err
	}
	b := bench{Options: o, report: Report{Machine: provenance.Machine(), Commit: provenance.Commit(ctx)}}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return Report{}, err
	}
	for _, s := range b.Scenarios {
		r, err := b.scenario(ctx, s)
		if err != nil {
			return b.report, fmt.Errorf("scenario %s: %w", s, err)
		}
		b.report.Scenarios = append(b.report.Scenarios, r)
	}
	return b.report, nil
}

type bench struct {
	Options
	report Report
	own    string // the temporary folder, removed at the end
	broker *process
	redis  *process
	topics *topics
	prefix string
}

func (b *bench) open(ctx context.Context) (err error) {
	if b.Dir == "" {
		if b.own, err = os.MkdirTemp("", "streamproc-bench-"); err != nil {
			return err
		}
		b.Dir = b.own
	}
	if b.Self == nil {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this executable: %w", err)
		}
		b.Self = []string{self, "role"}
	}
	if b.Binary == "" {
		if b.Binary, err = build(ctx, b.Dir); err != nil {
			return err
		}
	}
	b.prefix = fmt.Sprintf("bench-%d-%d", os.Getpid(), time.Now().Unix())
	b.report.Broker = b.Broker
	if b.Broker == "" || b.Broker == "kfake" {
		b.report.Broker = "kfake"
		if b.broker, b.Broker, err = start(b.Dir, "broker", true, append(b.Self[:len(b.Self):len(b.Self)], "broker")...); err != nil {
			return err
		}
	}
	b.topics, err = dialTopics(b.Broker)
	return err
}

func (b *bench) close() error {
	if b.topics != nil {
		b.topics.close()
	}
	err := errors.Join(b.broker.stop(), b.redis.stop())
	if b.own != "" {
		err = errors.Join(err, os.RemoveAll(b.own))
	}
	return err
}

// scenario feeds once and runs the floor and streamproc in turn, A B A B; the first turn warms the broker and is not counted.
func (b *bench) scenario(ctx context.Context, name string) (Result, error) {
	st, err := b.stage(ctx, name)
	if err != nil {
		return Result{}, err
	}
	in := b.prefix + "-" + name
	feed := bid.Feed{Records: b.Records, Duplicates: dedups(name)}
	st.fed = b.Records
	if err := st.create(ctx, in); err != nil {
		return Result{}, err
	}
	defer st.remove(context.WithoutCancel(ctx), in)
	if err := st.feed(ctx, in, feed); err != nil {
		return Result{}, err
	}
	var runs []Turn
	for rep := range b.Reps + 1 {
		for _, isFloor := range []bool{true, false} {
			r, err := b.turn(ctx, st, name, in, rep, isFloor, feed)
			if err != nil {
				return Result{}, err
			}
			if rep > 0 {
				runs = append(runs, r)
			}
		}
	}
	return summarise(name, b.Records, runs), nil
}

func (b *bench) stage(ctx context.Context, name string) (st *stage, err error) {
	st = &stage{topics: b.topics}
	if b.broker != nil {
		st.brokerPID = b.broker.pid()
	}
	if !dedups(name) {
		return st, nil
	}
	if b.Redis == "" {
		if b.redis, b.Redis, err = startRedis(ctx, b.Dir); err != nil {
			return nil, err
		}
	}
	st.redis = b.Redis
	return st, nil
}

// plugin is the file of the plugin of a scenario; "" is none.
func (b *bench) plugin(scenario string) (string, error) {
	switch {
	case discounts(scenario):
		return filepath.Abs(b.Plugin)
	case filters(scenario) && b.Filter != "":
		return filepath.Abs(b.Filter)
	}
	return "", nil
}

// turn is one run of one program, with a group and an output topic of its own.
func (b *bench) turn(ctx context.Context, st *stage, scenario, in string, rep int, isFloor bool, feed bid.Feed) (Turn, error) {
	who := "streamproc"
	if isFloor {
		who = "floor"
	}
	group := fmt.Sprintf("%s-%s-%d", in, who, rep)
	out := group + "-out"
	if err := st.create(ctx, out, group+".dlq"); err != nil {
		return Turn{}, err
	}
	defer st.remove(context.WithoutCancel(ctx), out, group+".dlq")
	argv, discount, distinct := append(b.Self[:len(b.Self):len(b.Self)], "floor", b.Broker, group, in, out), false, b.Records
	if !isFloor {
		file := filepath.Join(b.Dir, group+".yaml")
		plugin, err := b.plugin(scenario)
		if err != nil {
			return Turn{}, err
		}
		if err := os.WriteFile(file, []byte(configuration(scenario, b.Broker, b.Redis, plugin, group, in, out)), 0o600); err != nil {
			return Turn{}, err
		}
		argv, discount = []string{b.Binary, "run", "-c", file}, discounts(scenario)
		if dedups(scenario) {
			distinct = feed.Distinct()
		}
	}
	st.want = distinct
	r, err := st.run(ctx, b.Dir, group, out, discount, distinct, argv)
	r.Floor = isFloor
	if isFloor && dedups(scenario) {
		r.Verdict = bid.Verdict{} // it copies the duplicates, as it should; pass and q1 judge it
	}
	if err == nil && isFloor && r.Verdict != (bid.Verdict{}) {
		err = fmt.Errorf("the floor itself is unsound: %+v", r.Verdict)
	}
	fmt.Fprintf(b.Talk, "%s %s %d: %.2f CPU-s per million, %.0f records/s\n", scenario, who, rep, r.CPU, r.RecordsPerSecond)
	return r, err
}
