//go:build unix

package runtime

import (
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
)

// lazyBytes is how much of a memory the system gives as it is touched, page by page. What lies beyond it comes in pieces of
// this size, and before the guest runs on.
const lazyBytes = 2 << 20

// reserve makes the memory of an instance: address space for as much as it may ever have. Growing then copies nothing, and
// what an instance had is given back with it, not with some later collection: a guest that takes its memory page by page
// costs no more than it takes.
//
// A guest that touches a page for the first time stops in the middle of its code, where nothing can interrupt it, and the
// smallest pages take longer to come by than to write. So only the first of the memory, which is all that most plugins
// have, is left to be touched.
func reserve(_, most uint64) experimental.LinearMemory {
	whole, err := syscall.Mmap(-1, 0, int(max(most, pageBytes))+lazyBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return &heapMemory{} // where address space is short, as under a limit of it
	}
	before := -uintptr(unsafe.Pointer(unsafe.SliceData(whole))) % lazyBytes
	r := &reserved{whole: whole, space: whole[before:][:max(most, pageBytes)], settled: lazyBytes}
	if len(r.space) > lazyBytes {
		wantLargePages(r.space[lazyBytes:])
	}
	return r
}

// reserved is address space.
type reserved struct {
	whole, space []byte // space begins where a large page may
	settled      uint64 // bytes of space that the guest has been given, or has to touch by itself
}

// Reallocate implements experimental.LinearMemory.
func (r *reserved) Reallocate(n uint64) []byte {
	if n > uint64(len(r.space)) {
		return nil
	}
	if n > r.settled {
		touch(r.space[r.settled:n])
		r.settled = n
	}
	return r.space[:n:n]
}

// Free implements experimental.LinearMemory. The engine calls it when the instance is closed.
func (r *reserved) Free() {
	if syscall.Munmap(r.whole) == nil {
		r.whole, r.space = nil, nil
	}
}
