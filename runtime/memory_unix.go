//go:build unix

package runtime

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// reserve makes the memory of an instance: address space for as much as it may ever have, of which the system gives
// what is touched. Growing then copies nothing, and what an instance had is given back with it, not with some later
// collection: a guest that takes its memory page by page costs no more than it takes.
func reserve(_, most uint64) experimental.LinearMemory {
	b, err := syscall.Mmap(-1, 0, int(max(most, pageBytes)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return &heapMemory{} // where address space is short, as under a limit of it
	}
	return &reserved{b}
}

// reserved is address space.
type reserved struct{ space []byte }

// Reallocate implements experimental.LinearMemory.
func (r *reserved) Reallocate(n uint64) []byte {
	if n > uint64(len(r.space)) {
		return nil
	}
	return r.space[:n:n]
}

// Free implements experimental.LinearMemory. The engine calls it when the instance is closed.
func (r *reserved) Free() {
	if syscall.Munmap(r.space) == nil {
		r.space = nil
	}
}
