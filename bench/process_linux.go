package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU that a process has used so far, to the nanosecond; /proc counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	clock := int32(^pid<<3 | 2) // clock_getcpuclockid(3): the process' scheduler clock
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// peakRSS is the largest resident set that a running process has had, in bytes.
func peakRSS(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if fields := strings.Fields(rest); ok && len(fields) > 0 {
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		return kib << 10, err
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}
