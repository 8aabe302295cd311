//go:build unix

package runtime

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ours says whether a file belongs to the user of this process.
func ours(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return !ok || int(s.Uid) == os.Geteuid()
}

// limitCPU has the system kill this process when it has used so much.
func limitCPU(d time.Duration) error {
	n := uint64(d / time.Second)
	return syscall.Setrlimit(syscall.RLIMIT_CPU, &syscall.Rlimit{Cur: n, Max: n})
}
