package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/devstack"
)

// patience is how long a process may take for what it is asked.
const patience = 30 * time.Second

// process is one of our programs, as TestMain has them.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	said bytes.Buffer
	more chan struct{} // something was said
	gone chan struct{}
}

func begin(t *testing.T, program string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, args...), more: make(chan struct{}, 1), gone: make(chan struct{})}
	p.cmd.Args[0] = program
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.gone })
	return p
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.said.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// says waits until the process has said something.
func (p *process) says(text string) {
	p.t.Helper()
	for end := time.After(patience); !strings.Contains(p.output(), text); {
		select {
		case <-p.more:
		case <-p.gone:
			if !strings.Contains(p.output(), text) {
				p.t.Fatalf("it ended without saying %q:\n%s", text, p.output())
			}
		case <-end:
			p.t.Fatalf("it never said %q:\n%s", text, p.output())
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// leaves waits for the end, which must be with a code.
func (p *process) leaves(code int) {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.output())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit %d, want %d:\n%s", got, code, p.output())
	}
}

// daemonFile is a configuration for servers of its own, which live until the test ends.
func daemonFile(t *testing.T, admin string) string {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Options{Topics: map[string]int{"in": 1, "out": 1, "p.dlq": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	file := filepath.Join(t.TempDir(), "p.yaml")
	text := fmt.Sprintf("version: 1\nresources: { kafka: { k: { brokers: [%q] } } }\npipelines: { p: { source: { topics: [in] }, sinks: { out: { topic: out } } } }\nadmin: { listen: %q }\n",
		strings.Join(stack.Brokers(), ","), admin)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestADaemonHeedsItsSignals(t *testing.T) {
	p := begin(t, "streamproc", "run", "-c", daemonFile(t, "127.0.0.1:0"), "--log-format", "json")
	p.says(`"msg":"running"`)
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"reload","pipeline":"p","what":"unchanged"`)
	p.signal(syscall.SIGUSR1)
	for _, want := range []string{`"msg":"state of the process","goroutines":`, `"msg":"state of the pipeline","pipeline":"p","state":`} {
		p.says(want)
	}
	p.signal(syscall.SIGTERM)
	p.leaves(0)
	if !strings.Contains(p.output(), "p  in 0 = out 0") {
		t.Errorf("the ledger is missing:\n%s", p.output())
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		p := begin(t, "endless")
		p.says("running")
		p.signal(s)
		p.says("draining")
		p.signal(s)
		p.leaves(code)
	}
}

func TestATakenAdminAddressIsToldAtTheStart(t *testing.T) {
	first := begin(t, "streamproc", "run", "-c", daemonFile(t, "127.0.0.1:0"), "--log-format", "json")
	first.says(`"admin":"`)
	_, rest, _ := strings.Cut(first.output(), `"admin":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	second := begin(t, "streamproc", "run", "-c", daemonFile(t, addr))
	second.leaves(1)
	if !strings.Contains(second.output(), `is taken, perhaps by another instance: write admin: { listen: "127.0.0.1:0" }`) {
		t.Errorf("it said:\n%s", second.output())
	}
}
