package servers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed kafka-pom.xml
var pom []byte

// kafkaVersion names the folder of the jars; kafka-pom.xml pins the version itself.
const kafkaVersion = "4.4.0"

// Jars returns the folder with Apache Kafka's jars, and has Maven fetch them if they are not there. They are fetched into
// a folder beside it, which takes the name once it is complete: several processes may do so at a time.
func Jars(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the jars of Kafka: %w", err)
	}
	jars := filepath.Join(cache, "streamproc", "kafka-"+kafkaVersion)
	if _, err := os.Stat(filepath.Join(jars, "complete")); err == nil {
		return jars, nil
	}
	if err := os.MkdirAll(filepath.Dir(jars), 0o755); err != nil {
		return "", fmt.Errorf("making a place for the jars of Kafka: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(jars), "fetching-")
	if err != nil {
		return "", fmt.Errorf("making a place for the jars of Kafka: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := fetchJars(ctx, fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, jars); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keeping the jars of Kafka: %w", err)
	}
	return jars, nil
}

func fetchJars(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return fmt.Errorf("writing the list of jars: %w", err)
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+dir)
	if out, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching Kafka %s with Maven (make deps installs what is missing): %w\n%s", kafkaVersion, err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "complete"), nil, 0o600); err != nil {
		return fmt.Errorf("marking the jars as complete: %w", err)
	}
	return nil
}
