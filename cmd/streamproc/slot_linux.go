package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// takeSlot binds an abstract socket, on which nobody will ever speak: the kernel lets one process have it, and takes it
// back when that process is gone. A file with a lock would be left to whoever cleans folders of temporary files.
func takeSlot(base, group string, slot int) (release func(), taken bool, err error) {
	l, err := net.Listen("unix", fmt.Sprintf("@streamproc/%x/%d", sha256.Sum256([]byte(base+"\x00"+group)), slot)) // a name has at most 108 bytes
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("taking slot %d of instance %s in group %s: %w", slot, base, group, err)
	}
	return func() { _ = l.Close() }, true, nil
}
