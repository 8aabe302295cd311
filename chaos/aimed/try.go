package aimed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	sessionTimeout = 2 * time.Second
	patience       = 40 * time.Second // for one step of a try
	look           = 20 * time.Millisecond
)

// try is one shot: a group with topics of one partition, a member A that is stopped, and a member B that takes over.
type try struct {
	group, dir string
	brokers    []string
	cell       Cell
	cl         *kgo.Client
	adm        *kadm.Client
	fed        int
	members    []*process
}

// Outcome is what one try left in the output, as a reader of committed records sees it.
type Outcome struct {
	Repeated, Missing int
	Output            string // its offsets and values, in order
	Logs              string // of the members
}

// shoot makes one try.
func shoot(ctx context.Context, brokers []string, cell Cell, dir string) (o Outcome, err error) {
	t := &try{group: filepath.Base(dir), dir: dir, brokers: brokers, cell: cell}
	if t.cl, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.UnknownTopicRetries(-1)); err != nil { // the topics are new
		return o, err
	}
	defer t.cl.Close()
	t.adm = kadm.NewClient(t.cl)
	rs, err := t.adm.CreateTopics(ctx, 1, 1, nil, t.group+".in", t.group+".out", t.group+".dlq")
	if err == nil {
		err = rs.Error()
	}
	if err != nil {
		return o, fmt.Errorf("making the topics of a try: %w", err)
	}
	defer func() {
		for _, p := range t.members {
			p.end()
		}
		_, _ = t.adm.DeleteTopics(context.WithoutCancel(ctx), t.group+".in", t.group+".out", t.group+".dlq") //nolint:errcheck // what is left does no harm
	}()
	if err := t.play(ctx); err != nil {
		return Outcome{Logs: t.logs()}, err
	}
	o, err = t.judge(ctx)
	o.Logs = t.logs() + "--- output\n" + o.Output + "\n"
	return o, err
}

func (t *try) play(ctx context.Context) error {
	key, held, more := joinGroup, 0, 20
	if t.cell.Case == "b2" {
		key, held, more = produce, 100, 0
	}
	a, err := t.start("A")
	if err != nil {
		return err
	}
	if err := t.feed(ctx, 10); err != nil {
		return err
	}
	if err := a.arm(key); err != nil {
		return err
	}
	if err := t.feed(ctx, held); err != nil {
		return err
	}
	b := a
	if t.cell.Case == "b1" { // the stop is on the way into a rebalance, which B causes
		if b, err = t.start("B"); err != nil {
			return err
		}
	}
	if err := a.stopped(ctx); err != nil {
		return err
	}
	if t.cell.Case == "b2" {
		if b, err = t.start("B"); err != nil {
			return err
		}
	}
	if err := t.feed(ctx, more); err != nil {
		return err
	}
	if err := t.committed(ctx); err != nil {
		return fmt.Errorf("member B: %w", err)
	}
	if err := b.drain(); err != nil {
		return err
	}
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := t.feed(ctx, 10); err != nil {
		return err
	}
	if err := t.committed(ctx); err != nil {
		return fmt.Errorf("member A, thawed: %w", err)
	}
	return a.drain()
}

// feed writes n more records; the first ones are also waited for.
func (t *try) feed(ctx context.Context, n int) error {
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{Topic: t.group + ".in", Value: fmt.Appendf(nil, "%d", t.fed)}
		t.fed++
	}
	if err := t.cl.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		return fmt.Errorf("feeding: %w", err)
	}
	if t.fed == n && n > 0 {
		return t.committed(ctx)
	}
	return nil
}

// committed waits until the group has committed all that was fed.
func (t *try) committed(ctx context.Context) error {
	at := int64(-1)
	return await(ctx, func() string { return fmt.Sprintf("the group has committed %d of %d", at, t.fed) }, func(ctx context.Context) bool {
		offsets, err := t.adm.FetchOffsets(kadm.RequireStable(ctx), t.group)
		if err != nil || errors.Is(offsets.Error(), kerr.UnstableOffsetCommit) {
			return false
		}
		o, ok := offsets.Lookup(t.group+".in", 0)
		if ok {
			at = o.At
		}
		return ok && o.At >= int64(t.fed)
	})
}

// judge reads the output to its end.
func (t *try) judge(ctx context.Context) (o Outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ends, err := t.adm.ListCommittedOffsets(ctx, t.group+".out")
	if err != nil {
		return o, err
	}
	end, _ := ends.Lookup(t.group+".out", 0)
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.brokers...), kgo.ConsumeTopics(t.group+".out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return o, err
	}
	defer cl.Close()
	seen := map[string]bool{}
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return o, fmt.Errorf("reading the output at %d of %d: %w", next, end.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			o.Output += fmt.Sprintf("%d:%s ", r.Offset, r.Value)
			switch v := string(r.Value); {
			case r.Attrs.IsControl():
			case seen[v]:
				o.Repeated++
			default:
				seen[v] = true
			}
		})
	}
	o.Missing = t.fed - len(seen)
	return o, nil
}

func (t *try) logs() string {
	var b strings.Builder
	for _, p := range t.members {
		fmt.Fprintf(&b, "--- %s\n%s", p.name, p.said())
	}
	return b.String()
}

const engineYAML = `version: 1
resources: { kafka: { main: { brokers: ["%s"] } } }
pipelines:
  aimed:
    delivery: %s
    commit_interval: 100ms
    source: { topics: ["%s.in"], group: "%s", session_timeout: %s, poll: { records: 10 } }
    sinks: { out: { topic: "%s.out", linger: 0s } }
    dlq: { topic: "%s.dlq" }
`

func (t *try) start(name string) (*process, error) {
	instance := t.group + "." + name // tries share brokers, and an id belongs to one
	args := []string{"member", "session", t.group, instance}
	if t.cell.Delivery != "" {
		file := filepath.Join(t.dir, "aimed.yaml")
		text := fmt.Sprintf(engineYAML, strings.Join(t.brokers, `", "`), t.cell.Delivery, t.group, t.group, sessionTimeout, t.group, t.group)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		args = []string{"member", "engine", file, instance}
	}
	p := &process{name: name, cmd: exec.Command(t.cell.Binary, args...), done: make(chan error, 1), armed: make(chan struct{}, 1)} //nolint:gosec // our own binary
	p.cmd.Env = append(os.Environ(), "KAFKA_BROKERS="+strings.Join(t.brokers, ","))
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting member %s: %w", name, err)
	}
	t.members = append(t.members, p)
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

// process is one member. Safe for concurrent use.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    interface{ Write([]byte) (int, error) }
	done  chan error
	armed chan struct{}
	mu    sync.Mutex
	out   bytes.Buffer
}

// Write keeps what the member says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.HasPrefix(b, []byte("armed")) {
		p.armed <- struct{}{}
	}
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *process) arm(key int) error {
	if _, err := fmt.Fprintf(p.in, "arm %d\n", key); err != nil {
		return fmt.Errorf("arming member %s: %w", p.name, err)
	}
	select {
	case <-p.armed:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("member %s is not armed", p.name)
	}
}

// stopped waits until the member has stopped itself.
func (p *process) stopped(ctx context.Context) error {
	stat := fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)
	return await(ctx, func() string { return "member " + p.name + " has not been stopped" }, func(context.Context) bool {
		b, err := os.ReadFile(stat)
		i := bytes.LastIndexByte(b, ')')
		return err == nil && i > 0 && i+2 < len(b) && b[i+2] == 'T'
	})
}

func (p *process) drain() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("draining member %s: %w", p.name, err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(patience):
		return fmt.Errorf("member %s does not drain", p.name)
	}
}

func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done                 //nolint:errcheck // it was killed: how it ended says nothing
}

// await looks until is says so; what tells what is missing.
func await(ctx context.Context, what func() string, is func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what(), ctx.Err())
		}
	}
	return nil
}
