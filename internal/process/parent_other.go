//go:build !linux

package process

import (
	"errors"
	"syscall"
)

// dieWithParent has no means outside Linux: there a server outlives a parent that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }

// LimitFiles has no means outside Linux.
func (p *Process) LimitFiles(uint64) error {
	return errors.New("only on Linux can files of another process be limited")
}
