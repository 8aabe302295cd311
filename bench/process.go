package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	drainLimit = 15 * time.Second // after TERM, before KILL
	readyLimit = 15 * time.Second // for a broker or a Redis to answer
	logTail    = 2 << 10          // bytes of a process' log that an error shows
)

// process is a child whose CPU can be read. Its output goes to a file.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed after Wait
	err    error         // of Wait; read after exited
}

// start runs argv with its stderr in a file; with firstLine it waits for one line of stdout and returns it.
func start(dir, name string, firstLine bool, argv ...string) (*process, string, error) {
	p := &process{log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, "", err
	}
	defer out.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stderr = out
	var pipe io.ReadCloser
	if firstLine {
		if pipe, err = p.cmd.StdoutPipe(); err != nil {
			return nil, "", err
		}
	} else {
		p.cmd.Stdout = out
	}
	if err := p.cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("starting %s: %w", name, err)
	}
	line := ""
	if firstLine {
		line, _ = bufio.NewReader(pipe).ReadString('\n') // an empty line says that it ended
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if firstLine && line == "" {
		<-p.exited
		return nil, "", fmt.Errorf("%s ended before it was ready: %s", name, p.tail())
	}
	return p, strings.TrimSpace(line), nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks with TERM and waits; a process that does not end is killed and reported.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(drainLimit):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not end within %s of TERM", p.cmd.Path, drainLimit)
	}
	return p.err
}

// ended gives the reason why the process is no more; nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended early (%w): %s", p.cmd.Path, p.err, p.tail())
	default:
		return nil
	}
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-logTail):])
}

// build makes the streamproc to measure from the source around the working directory.
func build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "streamproc")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/streamproc/streamproc/cmd/streamproc").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building streamproc (give a binary instead): %w: %s", err, out)
	}
	return bin, nil
}
