package extism

import "encoding/binary"

// memory is what guest and host share: blocks at addresses of their own, which the guest reaches by host functions only.
// It is emptied before each record.
type memory struct {
	limit  int
	bytes  []byte            // from the address base on
	blocks map[uint64]uint64 // their lengths, by address
}

const (
	base      = 16      // no block is at 0, which is null
	keepBytes = 1 << 20 // of room between records
)

// span is a part of it.
type span struct{ at, n uint64 }

func (m *memory) reset() {
	if cap(m.bytes) > keepBytes {
		m.bytes = nil
	}
	m.bytes = m.bytes[:0]
	clear(m.blocks)
}

// alloc returns a new block of zeros, or null if it is empty or there is no room for it.
func (m *memory) alloc(n uint64) uint64 {
	if n == 0 || n > uint64(m.limit) || room(n) > uint64(m.limit)-uint64(len(m.bytes)) {
		return 0
	}
	at := base + uint64(len(m.bytes))
	m.bytes = append(m.bytes, make([]byte, room(n))...)
	m.blocks[at] = n
	return at
}

// room is what a block takes: the next begins at a multiple of 8.
func room(n uint64) uint64 { return (n + 7) &^ 7 }

// free forgets a block. Its room is used again at once if it was the last.
func (m *memory) free(at uint64) {
	n, ok := m.blocks[at]
	if !ok {
		return
	}
	delete(m.blocks, at)
	if at+room(n) == base+uint64(len(m.bytes)) {
		m.bytes = m.bytes[:at-base]
	}
}

// put returns a new block with b.
func (m *memory) put(b []byte) uint64 {
	at := m.alloc(uint64(len(b)))
	if at > 0 {
		copy(m.bytes[at-base:], b)
	}
	return at
}

// view is nil for what is out of range.
func (m *memory) view(s span) []byte {
	if s.at < base || s.at-base > uint64(len(m.bytes)) || s.n > uint64(len(m.bytes))-(s.at-base) {
		return nil
	}
	return m.bytes[s.at-base:][:s.n]
}

// block is nil for an address where no block begins.
func (m *memory) block(at uint64) []byte {
	n, ok := m.blocks[at]
	if !ok {
		return nil
	}
	return m.view(span{at, n})
}

// load reads n bytes, at most 8, as a number. What is out of range is 0.
func (m *memory) load(s span) uint64 {
	var b [8]byte
	copy(b[:], m.view(s))
	return binary.LittleEndian.Uint64(b[:])
}

// store writes n bytes, at most 8, of a number. What is out of range is not written.
func (m *memory) store(s span, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	copy(m.view(s), b[:])
}
