package runtime

import "golang.org/x/sys/unix"

// wantLargePages asks for pages of 2 MiB, where the system has them. It is as well without.
func wantLargePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// touch has the system give what is behind these addresses. If it cannot, or is too old to know how, it does as they are
// touched.
func touch(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }
