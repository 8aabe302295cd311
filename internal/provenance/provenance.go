// Package provenance says where a measured figure comes from: on what machine, and of which source.
package provenance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine names the processor, its cores, the system and Go.
func Machine() string {
	model := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}

// Commit is that of the source around the working directory, "unknown" outside of one. It is dirty if anything is changed, but for
// the folders apart: figures are kept there.
func Commit(ctx context.Context, apart ...string) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	changes := []string{"status", "--porcelain", "--untracked-files=no", "--", ":/"}
	for _, folder := range apart {
		changes = append(changes, ":(top,exclude)"+folder)
	}
	changed, err := exec.CommandContext(ctx, "git", changes...).Output()
	commit := strings.TrimSpace(string(out))
	if err != nil || len(changed) > 0 {
		commit += "-dirty"
	}
	return commit
}
