package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// How the neighbours of a hostile plugin are watched.
const (
	quietEvery  = 2 * time.Millisecond // between two records of the quiet pipeline
	attackEvery = 5 * time.Millisecond // between two records of the attacked one
	oneAttacks  = 10                   // one in so many of these attacks; the others pass, so that no breaker opens
	watchFor    = 4 * time.Second
	noneEvery   = 12          // one in so many runs is without an attack
	settleFor   = time.Second // not counted: the first records wait for the group
)

// Neighbour is how long records of a quiet pipeline took from the producer to a consumer, while a plugin of another pipeline
// in the same process attacked.
type Neighbour struct {
	Attack           string
	Records          int
	P50, P99, Max    time.Duration
	Attacked, Failed int64 // records of the attacked pipeline that were fed and that are in its dead letters
	PeakRSS          int64 // of the process of both, in bytes
	CPU              time.Duration
}

// Neighbours watches the neighbour of each hostile plugin whose name has only in it, and of none before, now and then, and after,
// which says what the machine itself does.
func Neighbours(ctx context.Context, o Options, only string) (all []Neighbour, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	b := bench{Options: o}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	for i, a := range attacks(only) {
		n, err := b.neighbour(ctx, i, a)
		if err != nil {
			return all, fmt.Errorf("%s: %w", a.Name, err)
		}
		fmt.Fprintf(b.Talk, "%-52s p50 %6.1f ms, p99 %6.1f ms, %4d MiB, CPU %4.2f s\n", n.Attack, milliseconds(n.P50), milliseconds(n.P99), n.PeakRSS>>20, n.CPU.Seconds())
		all = append(all, n)
	}
	return all, nil
}

// attacks are those to run, with none among them.
func attacks(only string) []hostile.Attack {
	none := hostile.Attack{Name: "none", Module: hostile.Attacks()[0].Module} // there, and given nothing to do
	all := []hostile.Attack{none}
	for _, a := range hostile.Attacks() {
		if len(all)%noneEvery == 1 {
			all = append(all, none)
		}
		if strings.Contains(a.Name, only) {
			all = append(all, a)
		}
	}
	return append(all, none)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// neighbour runs one process with both pipelines.
func (b *bench) neighbour(ctx context.Context, i int, a hostile.Attack) (n Neighbour, err error) {
	name := fmt.Sprintf("%s-neighbour-%d", b.prefix, i)
	quiet, bad := name+"-quiet", name+"-bad"
	made := []string{quiet, quiet + ".out", quiet + ".dlq", bad, bad + ".out", bad + ".dlq"}
	if err := b.topics.create(ctx, made...); err != nil {
		return n, err
	}
	defer b.topics.remove(context.WithoutCancel(ctx), made...)
	file, wasm := filepath.Join(b.Dir, name+".yaml"), filepath.Join(b.Dir, name+".wasm")
	if err := errors.Join(os.WriteFile(wasm, a.Module, 0o600), os.WriteFile(file, []byte(neighbours(b.Broker, quiet, bad, wasm)), 0o600)); err != nil {
		return n, err
	}
	p, _, err := start(b.Dir, name, false, b.Binary, "run", "-c", file)
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	times, fed, err := b.watch(ctx, quiet, bad, a.Name != "none")
	if err == nil {
		err = p.ended()
	}
	cpu, err1 := cpuTime(p.pid())
	peak, err2 := peakRSS(p.pid())
	err = errors.Join(err, err1, err2)
	if err != nil {
		return n, err
	}
	if len(times) == 0 {
		return n, errors.New("nothing came out of the quiet pipeline")
	}
	_, failed, err := b.topics.ends(ctx, bad+".dlq")
	slices.Sort(times)
	at := func(share float64) time.Duration { return times[int(share*float64(len(times)-1))] }
	return Neighbour{a.Name, len(times), at(0.5), at(0.99), at(1), fed, failed, peak, cpu}, err
}

func neighbours(broker, quiet, bad, wasm string) string {
	return fmt.Sprintf(`version: 1
resources:
  kafka: { main: { brokers: [%q] } }
pipelines:
  %s:
    commit_interval: 100ms
    source: { topics: [%q], start: earliest }
    sinks: { out: { topic: %q } }
  %s:
    commit_interval: 100ms
    source: { topics: [%q], start: earliest }
    steps: [ { filter: { wasm: %q } } ]
    sinks: { out: { topic: %q } }
admin: { listen: "127.0.0.1:0" }
`, broker, quiet, quiet, quiet+".out", bad, bad, wasm, bad+".out")
}

// watch feeds both pipelines, and says how long each record of the quiet one took, and how many the other was given.
func (b *bench) watch(ctx context.Context, quiet, bad string, attack bool) (times []time.Duration, fed int64, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Broker), kgo.ProducerLinger(0), kgo.ConsumeTopics(quiet+".out"), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		return nil, 0, fmt.Errorf("making a client of %s: %w", b.Broker, err)
	}
	defer cl.Close()
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(settleFor+watchFor))
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				sent := time.Unix(0, int64(binary.BigEndian.Uint64(r.Value)))
				if sent.After(began.Add(settleFor)) {
					times = append(times, time.Since(sent))
				}
			})
		}
		return nil
	})
	g.Go(func() error {
		return every(ctx, quietEvery, func(int64) {
			cl.Produce(ctx, &kgo.Record{Topic: quiet, Value: binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))}, nil)
		})
	})
	g.Go(func() error {
		return every(ctx, attackEvery, func(i int64) {
			value := []byte("kept")
			if attack && i%oneAttacks == 0 {
				value, fed = []byte("x"), fed+1
			}
			cl.Produce(ctx, &kgo.Record{Topic: bad, Value: value}, nil)
		})
	})
	err = g.Wait()
	return times, fed, err
}

// every calls do at a steady rate until ctx ends.
func every(ctx context.Context, d time.Duration, do func(i int64)) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for i := int64(0); ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			do(i)
		}
	}
}

// NeighboursText writes a table of neighbours in Markdown.
func NeighboursText(w io.Writer, all []Neighbour) error {
	var s strings.Builder
	s.WriteString("| attack | attacks | dead letters | records beside it | median | 99 % | largest | CPU | peak RSS |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, n := range all {
		fmt.Fprintf(&s, "| %s | %d | %d | %d | %.1f ms | %.1f ms | %.1f ms | %.2f s | %d MiB |\n",
			n.Attack, n.Attacked, n.Failed, n.Records, milliseconds(n.P50), milliseconds(n.P99), milliseconds(n.Max), n.CPU.Seconds(), n.PeakRSS>>20)
	}
	_, err := io.WriteString(w, s.String())
	return err
}
