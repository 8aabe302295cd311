package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent keeps an interrupt at the terminal from the child, and ends the child with its parent.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// LimitFiles lets it write no file beyond so many bytes, 0: any. One that ignores SIGXFSZ is told as if the disk were full.
func (p *Process) LimitFiles(bytes uint64) error {
	var was unix.Rlimit
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_FSIZE, nil, &was); err != nil {
		return fmt.Errorf("asking how large files of %s may become: %w", p.options.Path, err)
	}
	if was.Cur = bytes; bytes == 0 {
		was.Cur = was.Max
	}
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_FSIZE, &was, nil); err != nil {
		return fmt.Errorf("limiting the files of %s: %w", p.options.Path, err)
	}
	return nil
}
