// Package process runs children that die with this process, and tells what they print, how they end and how large they
// were.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what to run.
type Options struct {
	Path string
	Args []string
	Env  []string // added to the environment
	Log  string   // path of the file to which everything is appended that it prints
}

// Process is a child. A goroutine of its own starts it and waits for it, bound to its thread: the system ends the child
// when the thread that started it ends. Its methods are safe for concurrent use.
type Process struct {
	options Options
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
}

// Start starts a child.
func Start(o Options) (*Process, error) {
	p := &Process{options: o, cmd: exec.Command(o.Path, o.Args...), done: make(chan struct{})}
	out, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", o.Path, err)
	}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, out, dieWithParent()
	p.cmd.Env = append(os.Environ(), o.Env...)
	started := make(chan error, 1)
	go p.run(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s (make deps installs what is missing): %w", o.Path, err)
	}
	return p, nil
}

func (p *Process) run(out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer out.Close()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // how it ended stands in cmd.ProcessState
	}
}

// Await asks until ready says so, the process ends, or ctx does.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended (%s) before it was ready:\n%s", p.options.Path, p.cmd.ProcessState, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s (%w), last seen: %w\n%s", p.options.Path, ctx.Err(), err, p.Tail())
		case <-tick.C:
		}
	}
}

// pollInterval is the pause between two looks at a process that is coming up.
const pollInterval = 100 * time.Millisecond

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether it has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// PID is its number; after its end another process may have it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// ExitCode is its status once it has ended, -1 if a signal ended it.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends it a signal; one that has ended does not mind.
func (p *Process) Signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // fails only if it has ended already
}

// Kill ends it as a power cut would, and waits.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// tailBytes is how much of a log an error shows.
const tailBytes = 4 << 10

// Log is the path of what it prints.
func (p *Process) Log() string { return p.options.Log }

// Tail is the end of what it printed, if that went to a file.
func (p *Process) Tail() string {
	if info, err := os.Stat(p.options.Log); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	raw, err := os.ReadFile(p.options.Log)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-tailBytes):])
}

// RSS is its resident set now and the largest that it has had, in bytes; zero where the system does not tell, or when it
// has ended.
func (p *Process) RSS() (now, peak int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, 0
	}
	return kibibytes(string(status), "VmRSS:"), kibibytes(string(status), "VmHWM:")
}

func kibibytes(status, name string) int64 {
	_, rest, _ := strings.Cut(status, name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
