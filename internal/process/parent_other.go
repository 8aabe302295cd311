//go:build !linux

package process

import "syscall"

// dieWithParent has no means outside Linux: there a server outlives a parent that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
