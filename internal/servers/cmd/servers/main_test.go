package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/config"
)

// TestPipelinesFindTheServers by the variables that a configuration without servers reads.
func TestPipelinesFindTheServers(t *testing.T) {
	for _, variable := range addresses([]string{"127.0.0.1:1", "127.0.0.1:2"}, "127.0.0.1:3") {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "p.yaml")
	yaml := "version: 1\npipelines: { p: { source: { topics: [in] }, sinks: { out: { topic: out } } } }\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	if k, r := cfg.Kafka["default"], cfg.Redis["default"]; len(k.Brokers) != 2 || k.Brokers[1] != "127.0.0.1:2" || r.Addrs[0] != "127.0.0.1:3" {
		t.Errorf("Kafka is %v, Redis %v", k.Brokers, r.Addrs)
	}
}
