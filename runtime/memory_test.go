package runtime

import "testing"

func TestMemoryInTheHeapGrowsByCopying(t *testing.T) {
	var h heapMemory
	h.Reallocate(pageBytes)[7] = 42
	b := h.Reallocate(3 * pageBytes)
	if len(b) != 3*pageBytes || b[7] != 42 || b[2*pageBytes] != 0 {
		t.Errorf("%d bytes, of which byte 7 is %d", len(b), b[7])
	}
}
