package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "streamproc-e2e-")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "streamproc")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/streamproc")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Printf("building the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// rig is a pipeline's topics on the real servers.
type rig struct {
	t            *testing.T
	kafka, redis string
	cl           *kgo.Client
	in, out, dlq string
	dir          string
	env          []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, os.Getenv("STREAMPROC_TEST_KAFKA"))
}

// newRigOn makes one on a Kafka of the test's own.
func newRigOn(t *testing.T, kafka string) *rig {
	t.Helper()
	r := &rig{t: t, kafka: kafka, redis: os.Getenv("STREAMPROC_TEST_REDIS"), dir: t.TempDir()}
	if r.kafka == "" || r.redis == "" {
		t.Fatal("no servers are named: run make test, or go run ./internal/servers/cmd/servers go test ./internal/e2e")
	}
	id := fmt.Sprintf("%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", ".")), time.Now().UnixNano()%1e9)
	r.in, r.out, r.dlq = id+".in", id+".out", id+".dlq"
	var err error
	if r.cl, err = kgo.NewClient(kgo.SeedBrokers(r.kafka)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.cl.Close)
	stamp := "LogAppendTime"
	rs, err := kadm.NewClient(r.cl).CreateTopics(t.Context(), 4, 1, map[string]*string{"message.timestamp.type": &stamp}, r.in, r.out, r.dlq)
	if err == nil {
		err = rs.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.env = []string{"IN=" + r.in, "OUT=" + r.out, "DLQ=" + r.dlq, "GROUP=" + id, "KAFKA_BROKERS=" + r.kafka, "REDIS_ADDR=" + r.redis,
		"STREAMPROC_SET=admin.listen=127.0.0.1:0"} // several instances at once
	return r
}

func (r *rig) write(name, text string) string {
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return file
}

// instance is one process of the binary.
type instance struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr *lockedBuffer
	done   chan error
}

// lockedBuffer is a buffer that a test may read while a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (r *rig) start(args ...string) *instance {
	r.t.Helper()
	in := &instance{t: r.t, cmd: exec.Command(binary, args...), stderr: &lockedBuffer{}, done: make(chan error, 1)}
	in.cmd.Stdout, in.cmd.Stderr = &in.stdout, in.stderr
	in.cmd.Env = append(os.Environ(), r.env...)
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := in.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { in.done <- in.cmd.Wait() }()
	r.t.Cleanup(func() {
		_ = in.cmd.Process.Kill()
		if r.t.Failed() {
			r.t.Logf("an instance said:\n%s", in.stderr)
		}
	})
	return in
}

func (in *instance) kill() {
	in.t.Helper()
	if err := in.cmd.Process.Kill(); err != nil {
		in.t.Fatal(err)
	}
	<-in.done
}

// drain asks for the end and wants exit 0 and a ledger that closes.
func (in *instance) drain() {
	in.t.Helper()
	if err := in.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		in.t.Fatal(err)
	}
	select {
	case err := <-in.done:
		if err != nil {
			in.t.Errorf("the drain ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		in.t.Fatal("the instance did not drain")
	}
	if out := in.stdout.String(); !strings.Contains(out, "  closes") {
		in.t.Errorf("the ledger: %s", out)
	}
}

// says waits until the log of an instance holds text.
func (in *instance) says(text string, limit time.Duration) {
	in.t.Helper()
	in.saysTimes(text, 1, limit)
}

// saysTimes waits until the log of an instance holds text so many times.
func (in *instance) saysTimes(text string, times int, limit time.Duration) {
	in.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); strings.Count(in.stderr.String(), text) < times; {
		select {
		case <-tick.C:
		case <-end:
			in.t.Fatalf("the instance never said %q; it said:\n%s", text, in.stderr)
		}
	}
}

func (r *rig) feed(rs []*kgo.Record) {
	r.t.Helper()
	for _, rec := range rs {
		rec.Topic = r.in
	}
	if err := r.cl.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// awaitCommit waits until the group has committed something of every partition of the input.
func (r *rig) awaitCommit() {
	r.t.Helper()
	group, adm := strings.TrimSuffix(r.in, ".in"), kadm.NewClient(r.cl)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); ; {
		offsets, err := adm.FetchOffsets(r.t.Context(), group)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(offsets[r.in]) == 4 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("group %s has committed %d of 4 partitions", group, len(offsets[r.in]))
		}
	}
}

// read follows a topic until enough says so.
func (r *rig) read(topic string, limit time.Duration, enough func(*kgo.Record) bool) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	for full := false; !full; {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("what was awaited in %s did not come within %v", topic, limit)
		}
		fs.EachRecord(func(rec *kgo.Record) { full = enough(rec) || full })
	}
}

func (r *rig) flushRedis() {
	r.t.Helper()
	c, err := net.Dial("tcp", r.redis)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("FLUSHALL\r\n")); err != nil {
		r.t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 64)); err != nil {
		r.t.Fatal(err)
	}
}
