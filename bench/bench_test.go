package bench

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/bench/floor"
	"go.uber.org/goleak"
)

// TestMain lets the test binary play the bench's roles and, as "run -c FILE", a streamproc that copies whatever it should do.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[1] == "role":
		err = Role(context.Background(), os.Args[2:])
	case len(os.Args) == 4 && os.Args[1] == "run" && os.Args[2] == "-c":
		err = standIn(os.Args[3])
	default:
		goleak.VerifyTestMain(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var fields = regexp.MustCompile(`(?s)brokers: \["([^"]*)"\].*pipelines:\n  ([^:]*):.*topics: \["([^"]*)"\].*topic: "([^"]*)"`)

func standIn(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f := fields.FindSubmatch(text)
	if f == nil {
		return fmt.Errorf("no broker, pipeline or topics in %s", text)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return floor.Run(ctx, floor.Options{Broker: string(f[1]), Group: string(f[2]), In: string(f[3]), Out: string(f[4]), CommitInterval: time.Second})
}

const few = 5000

func measure(t *testing.T, scenario string) Result {
	t.Helper()
	r, err := Run(t.Context(), Options{Scenarios: []string{scenario}, Records: few, Reps: 1, Binary: os.Args[0], Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) != 1 || r.Broker != "kfake" || r.Machine == "" {
		t.Fatalf("%+v", r)
	}
	return r.Scenarios[0]
}

func TestCopyingIsSoundForPass(t *testing.T) {
	r := measure(t, "pass")
	if r.Lost+r.Duplicated+r.Misordered+r.Altered != 0 || r.Records != few {
		t.Fatalf("%+v", r)
	}
	if r.PeakRSSBytes < 1<<20 || r.StartupCPU <= 0 || len(r.Runs) != 2 {
		t.Fatalf("%+v", r)
	}
}

func TestCopyingIsUnsoundForQ1(t *testing.T) {
	if r := measure(t, "q1"); r.Altered != few || r.Lost != 0 {
		t.Fatalf("a program that gives no discount passed: %+v", r)
	}
}

func TestCopyingIsUnsoundForDedup(t *testing.T) {
	r := measure(t, "dedup-q1")
	if r.Duplicated < few/20 || r.Duplicated > few/10 {
		t.Fatalf("a program that lets duplicates through passed: %+v", r)
	}
}

func TestAProgramThatEndsIsAnError(t *testing.T) {
	_, err := Run(t.Context(), Options{Scenarios: []string{"pass"}, Records: 10, Reps: 1, Binary: "/bin/false", Dir: t.TempDir()})
	if err == nil {
		t.Fatal("no error")
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for _, o := range []Options{{Scenarios: []string{"q9"}}, {Records: -1}, {Records: maxRecords + 1}, {Reps: -1}, {Reps: maxReps + 1}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Fatalf("%+v was accepted", o)
		}
	}
}

func TestAFilterIsAnExpressionOrAPluginThatKeepsAll(t *testing.T) {
	for filter, want := range map[string]string{"": "filter: 'value.price >= 100", "a/b.js": `plugins: { price: { js: "a/b.js" } }`} {
		if c := configuration("filter", "b:1", "", filter, "p", "in", "out"); !strings.Contains(c, want) || strings.Contains(c, "transform") {
			t.Errorf("with %q it is\n%s", filter, c)
		}
	}
	if r := measure(t, "filter"); r.Lost+r.Altered != 0 || r.Records != few {
		t.Errorf("%+v", r)
	}
}
