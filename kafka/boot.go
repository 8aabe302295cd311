//go:build !synctests

package kafka

import (
	"time"

	"golang.org/x/sys/unix"
)

func bootNanos() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return time.Now().UnixNano()
	}
	return ts.Nano()
}
