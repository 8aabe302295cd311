//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errNotLinux = errors.New("the bench reads CPU clocks and memory of other processes, which it can do on Linux only")

func cpuTime(int) (time.Duration, error) { return 0, errNotLinux }
func peakRSS(int) (int64, error)         { return 0, errNotLinux }
