package process

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Options{Path: "sh", Args: []string{"-c", script}, Env: []string{"WORD=hello"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestAProcessTellsWhatItPrintedAndHowItEnded(t *testing.T) {
	p := start(t, "echo $WORD; exit 3")
	<-p.Done()
	if p.Running() || p.ExitCode() != 3 || p.Tail() != "hello\n" {
		t.Errorf("running %v, status %d, printed %q", p.Running(), p.ExitCode(), p.Tail())
	}
	err := p.Await(t.Context(), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "before it was ready") {
		t.Errorf("waiting for one that has ended: %v", err)
	}
}

func TestAStoppedProcessCanBeKilled(t *testing.T) {
	p := start(t, "exec sleep 1000")
	if now, peak := p.RSS(); now <= 0 || peak < now {
		t.Errorf("%d bytes now, %d at most", now, peak)
	}
	p.Signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Await(ctx, func(context.Context) error { return errors.New("not yet") }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for one that is stopped: %v", err)
	}
	p.Kill()
	if p.ExitCode() != -1 {
		t.Errorf("status %d", p.ExitCode())
	}
}
