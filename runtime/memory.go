package runtime

// heapMemory is the memory of an instance where address space cannot be reserved: growing copies it.
type heapMemory struct{ b []byte }

// Reallocate implements experimental.LinearMemory.
func (h *heapMemory) Reallocate(n uint64) []byte {
	h.b = append(h.b, make([]byte, n-uint64(len(h.b)))...)
	return h.b
}

// Free implements experimental.LinearMemory.
func (h *heapMemory) Free() { h.b = nil }
