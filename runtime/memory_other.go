//go:build !unix

package runtime

import "github.com/tetratelabs/wazero/experimental"

// reserve makes the memory of an instance.
func reserve(_, _ uint64) experimental.LinearMemory { return &heapMemory{} }
