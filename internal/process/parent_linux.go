package process

import "syscall"

// dieWithParent keeps an interrupt at the terminal from the child, and ends the child with its parent.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
