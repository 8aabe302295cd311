package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/streamproc/streamproc/chaos/proxy"
	"github.com/streamproc/streamproc/internal/process"
	"github.com/streamproc/streamproc/internal/servers"
)

// Servers are what a scenario runs on. Kafka, Redis and the ways to them are nil where they are not ours to break.
type Servers struct {
	Brokers            []string
	RedisAddr          string
	Kafka              *servers.Kafka
	Redis, Spare       *servers.Redis
	KafkaWay, RedisWay []*proxy.Proxy // the instances go by them, where there are any
	kafkaFronts        []string
}

// StartServers starts servers of a scenario's own.
func StartServers(ctx context.Context, s Scenario) (on Servers, err error) {
	s.complete()
	defer func() {
		if err != nil {
			err = errors.Join(err, on.Stop())
		}
	}()
	redis := servers.RedisOptions{Args: append(slices.Clone(s.RedisArgs), "--repl-diskless-sync-delay", "0"), Disk: true} // one replica at most
	if on.Redis, err = servers.StartRedis(ctx, redis); err != nil {
		return on, err
	}
	if s.Spare {
		if on.Spare, err = servers.StartRedis(ctx, redis); err != nil {
			return on, err
		}
	}
	on.Kafka, err = servers.StartKafka(ctx, servers.KafkaOptions{Brokers: s.Brokers, HeapMB: brokerHeapMB, Proxied: s.Proxied, Properties: brokerSessions, Features: s.features()})
	if err != nil {
		return on, err
	}
	on.Brokers, on.RedisAddr = on.Kafka.Brokers(), on.Redis.Addr()
	if s.Proxied {
		err = on.stand()
	}
	return on, err
}

// stand puts a proxy into each way.
func (s *Servers) stand() error {
	p, err := proxy.Start("127.0.0.1:0", s.RedisAddr)
	if err != nil {
		return err
	}
	s.RedisWay = append(s.RedisWay, p)
	for _, f := range s.Kafka.Fronts() {
		if p, err = proxy.Start(f.Listen, f.Dial); err != nil {
			return err
		}
		s.KafkaWay, s.kafkaFronts = append(s.KafkaWay, p), append(s.kafkaFronts, f.Listen)
	}
	return nil
}

// seen are the addresses that the instances are told.
func (s *Servers) seen() (brokers []string, redis string) {
	if len(s.RedisWay) == 0 {
		return s.Brokers, s.RedisAddr
	}
	return s.kafkaFronts, s.RedisWay[0].Addr()
}

// brokerHeapMB is enough for a million records, and leaves room for three brokers on a small machine.
const brokerHeapMB = 300

// brokerSessions are half of Kafka's defaults (METHODOLOGY.md says why).
var brokerSessions = map[string]string{"broker.session.timeout.ms": "4500", "broker.heartbeat.interval.ms": "1000"}

// Stop ends them.
func (s *Servers) Stop() error {
	var errs []error
	for _, p := range append(s.KafkaWay, s.RedisWay...) {
		errs = append(errs, p.Close())
	}
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop())
	}
	for _, r := range []*servers.Redis{s.Redis, s.Spare} {
		if r != nil {
			errs = append(errs, r.Stop())
		}
	}
	return errors.Join(errs...)
}

// rig is the instances of a run, and the servers below them. start, kill and drain are for the goroutine of the plan.
type rig struct {
	Servers
	binary, file, dir string
	lanes             []*lane
	mu                sync.Mutex // over what the watch of memory reads meanwhile
	instances         []*process.Process
	slowestDrain      time.Duration
	peakRSS           int64
	started           int
	samples           []sample // of a soak
}

const (
	drainLimit = 30 * time.Second
)

// Build makes the binary that is to be broken, from the source around the working directory.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "streamproc")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/streamproc/streamproc/cmd/streamproc").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building streamproc: %w\n%s", err, out)
	}
	return binary, nil
}

// start adds an instance.
func (r *rig) start() error {
	r.started++
	return r.startOn(filepath.Join(r.dir, fmt.Sprintf("instance-%d.log", r.started)))
}

// startOn adds an instance that writes its log to a file.
func (r *rig) startOn(log string) error {
	p, err := process.Start(process.Options{Path: r.binary, Args: []string{"run", "-c", r.file}, Log: log})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instances = append(r.instances, p)
	return nil
}

// redis is the one in use, for others than the goroutine of the plan.
func (r *rig) redis() *servers.Redis {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Redis
}

// swap takes the spare Redis for the one in use.
func (r *rig) swap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Redis, r.Spare = r.Spare, r.Redis
}

// pickSome chooses several.
func (r *rig) pickSome(rng *rand.Rand, n int) (some []*process.Process) {
	for _, i := range rng.Perm(len(r.instances))[:min(n, len(r.instances))] {
		some = append(some, r.instances[i])
	}
	return some
}

// pick chooses an instance.
func (r *rig) pick(rng *rand.Rand) *process.Process { return r.instances[rng.IntN(len(r.instances))] }

func (r *rig) remove(p *process.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instances = slices.DeleteFunc(r.instances, func(q *process.Process) bool { return p == q })
}

func (r *rig) kill(p *process.Process) {
	r.remember(p)
	r.remove(p)
	p.Kill()
}

// drain asks an instance to end, and wants it to do so in time and with status 0.
func (r *rig) drain(p *process.Process) error {
	r.remember(p)
	r.remove(p)
	begin := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done():
	case <-time.After(drainLimit):
		p.Kill()
		return fmt.Errorf("an instance did not drain within %v:\n%s", drainLimit, p.Tail())
	}
	r.slowestDrain = max(r.slowestDrain, time.Since(begin))
	if p.ExitCode() != 0 {
		return fmt.Errorf("an instance drained with status %d:\n%s", p.ExitCode(), p.Tail())
	}
	return nil
}

// drainAll drains what runs, one after the other.
func (r *rig) drainAll() error {
	var errs []error
	for _, p := range slices.Clone(r.instances) {
		errs = append(errs, r.drain(p))
	}
	return errors.Join(errs...)
}

// killAll ends what a run that failed has left.
func (r *rig) killAll() {
	for _, p := range slices.Clone(r.instances) {
		r.kill(p)
	}
}

// all are the instances, for others than the goroutine of the plan.
func (r *rig) all() []*process.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.instances)
}

// alive says which instances ended though nobody asked them to.
func (r *rig) alive() error {
	var errs []error
	for _, p := range r.instances {
		if !p.Running() {
			errs = append(errs, fmt.Errorf("an instance ended by itself with status %d:\n%s", p.ExitCode(), p.Tail()))
		}
	}
	return errors.Join(errs...)
}

// remember takes note of how large an instance has become.
func (r *rig) remember(p *process.Process) {
	_, peak := p.RSS()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peakRSS = max(r.peakRSS, peak)
}

// write puts the configuration where the instances find it, and the plugin beside it.
func (r *rig) write(configuration string) error {
	r.file = filepath.Join(r.dir, "chaos.yaml")
	if err := os.WriteFile(r.file, []byte(configuration), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return r.writePlugin(poison)
}

// rebuild writes the plugin with a section more, that means nothing.
func (r *rig) rebuild(rng *rand.Rand) error {
	name := fmt.Sprintf("build %016x", rng.Uint64())
	section := append([]byte{0, byte(1 + len(name)), byte(len(name))}, name...)
	return r.writePlugin(append(slices.Clone(poison), section...))
}

// writePlugin puts the plugin in its place at once, as those do who deploy it.
func (r *rig) writePlugin(module []byte) error {
	file := filepath.Join(r.dir, poisonFile)
	err := os.WriteFile(file+".next", module, 0o600)
	if err == nil {
		err = os.Rename(file+".next", file)
	}
	if err != nil {
		return fmt.Errorf("writing the plugin: %w", err)
	}
	return nil
}
