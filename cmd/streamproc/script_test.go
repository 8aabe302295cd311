package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/internal/hostile"
)

var update = flag.Bool("update", false, "write what the verbs print into the scripts")

// TestMain lets the test binary be the commands of sessions, and the child that compiles.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == compileVerb {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"streamproc": main, "endless": endless})
}

// Each verb, as a session in a shell. A session has servers of its own in KAFKA_BROKERS and REDIS_ADDR.
func TestSessions(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := devstack.Start(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer images.Close()
	t.Run("in", func(t *testing.T) { // the sessions are parallel: this ends when all have
		testscript.Run(t, testscript.Params{
			Dir:                "testdata",
			UpdateScripts:      *update,
			RequireUniqueNames: true,
			Setup: func(e *testscript.Env) error {
				e.Setenv("ROOT", root)
				e.Setenv("KAFKA_BROKERS", strings.Join(stack.Brokers(), ","))
				e.Setenv("REDIS_ADDR", stack.RedisAddr())
				e.Setenv("REGISTRY", strings.TrimPrefix(images.URL, "http://"))
				e.Setenv("AWAY", "127.0.0.1:1") // nobody listens there
				return writeHostile(e.WorkDir)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "until": until, "remember": remember},
		})
	})
}

// writeHostile writes modules that the verbs have to survive.
func writeHostile(dir string) error {
	for name, wasm := range map[string][]byte{"steers": hostile.Steers(), "large": hostile.Measure(2_500), "endless": hostile.Starts()[0].Module,
		"stumbles": hostile.Stumbles()[0].Module} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), wasm, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// remember keeps the line that a file holds in a variable: remember NAME FILE.
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: remember NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// exits runs a program that must leave with a code: exits 78 streamproc validate.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var e *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// until waits until a file, which a program in the background writes, holds a text: until out.txt 'ready'.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: until FILE TEXT")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); ; {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		if strings.Contains(string(text), args[1]) {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("%q did not come; there is\n%s", args[1], text)
		}
	}
}

// endless is a process that never ends its drain.
func endless() {
	ctx, _ := signals(context.Background(), others{})
	fmt.Println("running")
	<-ctx.Done()
	fmt.Println("draining")
	select {}
}
