package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ask runs a verb, and wants it to leave with a code and to say something on both.
func ask(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "streamproc"
	out, _ := cmd.CombinedOutput() // the code says it
	if got := cmd.ProcessState.ExitCode(); got != code || !bytes.Contains(out, []byte(want)) {
		t.Errorf("%v: exit %d, want %d and %q:\n%s", args, got, code, want, out)
	}
}

func change(t *testing.T, file, old, now string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), old, now, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADaemonTakesUpItsFilesAnew(t *testing.T) {
	file := daemonFile(t, "127.0.0.1:0")
	p := begin(t, "streamproc", "run", "-c", file, "--watch", "--log-format", "json")
	p.says(`"admin":"`)
	_, rest, _ := strings.Cut(p.output(), `"admin":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	admin := "--admin=http://" + addr
	ask(t, 0, "p: unchanged\n", "reload", admin)
	ask(t, 1, "there is nothing to go back to", "reload", "--rollback", admin)

	change(t, file, "sinks:", "workers: 0, sinks:")
	p.says("the reload was refused, the last good configuration runs on") // by --watch
	ask(t, 1, "p.yaml:3:", "reload", admin)
	change(t, file, "workers: 0", "workers: 2")
	p.says(`"msg":"reload","pipeline":"p","what":"restarted","why":"workers changed"`)
	ask(t, 0, `"what": "restarted"`, "reload", "--rollback", "-o", "json", admin)
	ask(t, 0, "p: restarted, workers changed\n", "reload", admin)
	p.signal(15)
	p.leaves(0)
}

// TestARollbackDoesNotGoThroughTheShadow goes back from a plugin that makes something else of every record, as one does.
func TestARollbackDoesNotGoThroughTheShadow(t *testing.T) {
	file := daemonFile(t, "127.0.0.1:0")
	script := filepath.Join(filepath.Dir(file), "a.js")
	if err := os.WriteFile(script, []byte("export const map = () => 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	change(t, file, "sinks:", "steps: [ { name: a, transform: { js: a.js, shadow: 100% } } ], sinks:")
	p := begin(t, "streamproc", "run", "-c", file, "--log-format", "json")
	p.says(`"admin":"`)
	_, rest, _ := strings.Cut(p.output(), `"admin":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	admin := "--admin=http://" + addr
	change(t, script, "1", "2")
	ask(t, 0, "p: swapped", "reload", "--now", admin)
	ask(t, 0, "\"what\": \"swapped\",\n      \"why\": \"a ", "reload", "--rollback", "-o", "json", admin)
	if strings.Contains(p.output(), "shadow of") {
		t.Error("it went through the shadow")
	}
	p.signal(15)
	p.leaves(0)
}
