package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/pipeline"
)

// runDev runs dev with arguments at the root of the project, and returns what it prints.
func runDev(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	t.Chdir("../..")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	out := trigger{fire: func() {}}
	err := devTo(ctx, &out, args...)
	return out.String(), err
}

func devTo(ctx context.Context, out io.Writer, args ...string) error {
	cmd := root()
	cmd.SetOut(out)
	cmd.SetArgs(append([]string{"dev"}, args...))
	return cmd.ExecuteContext(ctx)
}

// trigger keeps what is written, and fires once both words were.
type trigger struct {
	bytes.Buffer
	words [2]string
	fire  func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.words[0]) && strings.Contains(w.String(), w.words[1]) {
		w.fire()
	}
	return n, err
}

// words makes runs of spaces one, so that a test need not know widths.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestDevOnceShowsWhatBecameOfEachEarthquake(t *testing.T) {
	for _, columns := range []string{"80", "120"} {
		t.Run(columns, func(t *testing.T) {
			t.Setenv("COLUMNS", columns)
			out, err := runDev(t, t.Context(), "--once")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{
				"1,295 (76 %) come after one that shook later",
				"injected 92 copies",
				"quakes.reported → once → felt → alert → in-time → strength → alerts, strong, late",
				"The clock was moved on by 24h",
				"quakes: 1,799 records from quakes.reported",
				"dedup once 1,799 1,707 - 92 - - -",
				"transform alert 297 297 - - - - -",
				"reorder in-time 297 251 - - - 46 -",
				"46 late to topic quakes.late",
				"46 records came to in-time when others more than max_wait 24h after had passed: they went to late.",
				"in 1,799 = out 251 + filtered 1,410 + duplicates 92 + held 0 + late 46 + dead-lettered 0 closes",
			} {
				if !strings.Contains(words(out), want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
			limit := map[string]int{"80": 80, "120": 120}[columns]
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > limit {
					t.Errorf("a line has %d columns: %s", n, line)
				}
				if strings.ContainsRune(line, '\x1b') {
					t.Errorf("a line controls a terminal that is none: %q", line)
				}
			}
		})
	}
}

const ordered = `version: 1
pipelines:
  orders:
    commit_interval: 50ms
    source: { topics: [orders] }
    steps: [ { name: in-order, reorder: { key: key, sequence: "header:seq", first: 0, max_wait: 1h } } ]
    sinks: { out: { topic: orders.out } }
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDevOnceLetsGoWhatWaitsForWhatNeverComes(t *testing.T) {
	feed := write(t, "feed.jsonl", `{"key":"a","value":"zero","headers":{"seq":"0"}}
{"key":"a","value":"two","headers":{"seq":"2"}}
{"key":"a","value":"unknown","headers":{"seq":"x"}}
`)
	out, err := runDev(t, t.Context(), "--once", "-c", write(t, "p.yaml", ordered), "--feed", feed)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"1 record waits for earlier ones", "moved on by 1h", "out zero", "out two", "at in-order: decode",
		"in 3 = out 2 + filtered 0 + duplicates 0 + held 0 + late 0 + dead-lettered 1 closes"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestDevNamesTheLineThatItCannotFeed(t *testing.T) {
	out, err := runDev(t, t.Context(), "--once", "-c", write(t, "p.yaml", ordered), "--feed", write(t, "feed.jsonl", "\n{\"value\":1,\"key\":2}\n"))
	if err == nil || !strings.Contains(err.Error(), "feed.jsonl, line 2: key is 2") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDevGoesOnUntilItIsToldToStop(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	feed := write(t, "feed.jsonl", `{"key":"a","value":"two","headers":{"seq":"2"}}
{"key":"a","value":"zero","headers":{"seq":"0"}}
`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &trigger{words: [2]string{"the feed is through", "zero"}, fire: cancel} // zero came out, so two was read
	if err := devTo(ctx, w, "-c", write(t, "p.yaml", ordered), "--feed", feed); err != nil {
		t.Fatalf("%v\n%s", err, w)
	}
	out := w.String()
	for _, want := range []string{"INT (ctrl-C) drains", "1 record is held in in-order, for earlier ones that may still come, up to max_wait 1h",
		"in 2 = out 1 + filtered 0 + duplicates 0 + held 1 + late 0 + dead-lettered 0 closes"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestALedgerThatDoesNotCloseIsAnErrorAndSaysSo(t *testing.T) {
	var out bytes.Buffer
	s := &show{w: &out, width: 80}
	st := daemon.Status{Name: "p", Ledger: pipeline.Counts{In: 1_234_567, Out: 1_234_565}, Difference: 2}
	s.ledger(&st)
	if !strings.Contains(words(out.String()), "in 1,234,567 = out 1,234,565 + filtered 0 + duplicates 0 + held 0 + late 0 + dead-lettered 0 DOES NOT CLOSE: 2 missing or too many") {
		t.Error(out.String())
	}
}

func TestSamplesCannotControlATerminal(t *testing.T) {
	if got := cut("a\x1b[2Jb\n\u202e", 20); got != "a·[2Jb··" {
		t.Errorf("%q", got)
	}
	if got := cut(strings.Repeat("é", 100), 10); got != strings.Repeat("é", 9)+"…" {
		t.Errorf("%q", got)
	}
}
