package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/pipeline"
)

func runStatus(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetArgs(append([]string{"status"}, args...))
	err := cmd.ExecuteContext(t.Context())
	var e *exit
	if errors.As(err, &e) {
		return out.String(), e.code, err
	}
	return out.String(), 0, err
}

func TestStatusSaysWhatADaemonDoes(t *testing.T) {
	d, cfg := running(t, ordered, oneHeld...)
	server := httptest.NewServer(admin.Handler(adminOptions(cfg.Admin, d, nil)))
	defer server.Close()
	out, code, err := runStatus(t, "--admin", server.URL)
	if code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	for _, want := range []string{"orders: running, ready", "kafka ok", "redis ok", "lag 1 records", "reorder in-order 2 1 - - 1 - -", "1 to out",
		"in 2 = out 1 + filtered 0 + duplicates 0 + held 1 + late 0 + dead-lettered 0 closes"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	out, code, _ = runStatus(t, "--admin", server.URL, "-o", "json")
	var answer struct{ Pipelines []daemon.Status }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 0 || len(answer.Pipelines) != 1 || answer.Pipelines[0].Ledger.Held != 1 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

func TestStatusExitsAsThePipelinesAre(t *testing.T) {
	list := []daemon.Status{{Name: "p", State: "stalled", Why: "Redis is away"}}
	server := httptest.NewServer(admin.Handler(admin.Options{Token: "s3", Status: func() any { return list }, Metrics: http.NotFoundHandler()}))
	defer server.Close()
	if _, code, err := runStatus(t, "--admin", server.URL); code != exitFailed || !strings.Contains(err.Error(), "STREAMPROC_ADMIN_TOKEN") {
		t.Errorf("without a token: exit %d, %v", code, err)
	}
	t.Setenv("STREAMPROC_ADMIN_TOKEN", "s3")
	out, code, _ := runStatus(t, "--admin", server.URL)
	if code != exitFailed || !strings.Contains(words(out), "p: stalled, not ready why Redis is away") {
		t.Errorf("a stalled one: exit %d\n%s", code, out)
	}
	list[0].Ready = true
	if out, code, _ := runStatus(t, "--admin", server.URL); code != 0 {
		t.Errorf("a ready one: exit %d\n%s", code, out)
	}
	if _, code, err := runStatus(t, "--admin", "http://127.0.0.1:1"); code != exitAway {
		t.Errorf("without a daemon: exit %d, %v", code, err)
	}
}

func TestThePartitionsThatDoNotCloseAreNamed(t *testing.T) {
	good, bad := pipeline.Counts{In: 2, Out: 2}, pipeline.Counts{In: 2, Out: 1}
	much := pipeline.Counts{In: 1, Out: 2}
	var out bytes.Buffer
	ledgers(&out, []daemon.Status{{Name: "p", Ledger: pipeline.Counts{In: 5, Out: 5}, Partitions: []daemon.Partition{
		{Topic: "in", ID: 0, Ledger: good}, {Topic: "in", ID: 1, Ledger: bad}, {Topic: "in", ID: 2, Ledger: much}}}})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "closes") || !strings.Contains(lines[1], "in/1: in 2") || !strings.Contains(lines[2], "in/2: in 1") ||
		!strings.Contains(lines[1], "DOES NOT CLOSE: 1 missing") {
		t.Error(out.String())
	}
}
