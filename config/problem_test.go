package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

func problems(t *testing.T) Problems {
	t.Helper()
	_, err := load(t, "version: 1\nresources: { redis: { r: { addrs: ['10.0.0.1:1'] } } }\npipelines:\n  p: { source: { topics: [a] }, sinks: { out: { topic: \"50%\\n\" } } }\n", nil)
	var all Problems
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("got %v", err)
	}
	return all
}

func TestProblemsAreToldInEachFormat(t *testing.T) {
	all := problems(t)
	for i, line := range strings.Split(strings.TrimSpace(all.JSON()), "\n") {
		var p map[string]any
		if err := json.Unmarshal([]byte(line), &p); err != nil || p["code"] != string(all[i].Code) || p["severity"] != string(all[i].Severity) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if text := all.GitHub(); !strings.HasPrefix(text, "::warning file=") || !strings.Contains(text, "\n::error file=") || !strings.Contains(text, `50%25\n`) {
		t.Errorf("got %s", text)
	}
	if text := all.Text(true); !strings.Contains(text, "\x1b[33mwarning:\x1b[0m") || strings.Contains(all.Text(false), "\x1b") {
		t.Errorf("got %q", text)
	}
	report, err := sarif.FromString(all.SARIF())
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Validate(); err != nil {
		t.Error(err)
	}
	if results := report.Runs[0].Results; len(results) != 2 || results[0].Level != "warning" || *results[1].Locations[0].PhysicalLocation.Region.StartLine != 4 {
		t.Errorf("got %s", all.SARIF())
	}
	report, err = sarif.FromString(Problems(nil).SARIF())
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Validate(); err != nil {
		t.Errorf("without problems: %v", err)
	}
}

func TestWhatAProblemSaysCannotControlATerminal(t *testing.T) {
	_, err := load(t, "version: 1\npipelines: { p: { nonsense: \"\\e[2J\", workers: \"\\e[2J\" } }\n\"a\\rb\": 1\n", nil)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\r") {
		t.Errorf("got %q", err)
	}
}
