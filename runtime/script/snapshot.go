package script

import "github.com/tetratelabs/wazero/api"

// Snapshot is the memory of an engine between two calls, without the zeros at its end.
type Snapshot struct {
	memory  []byte
	size    uint32
	pointer uint64 // of the engine's stack
}

// What memory has grown is lost to the engine's allocator by a reset. A new instance takes its place when that is more than grownBytes,
// or than one part of grownParts of what it may grow.
const grownBytes, grownParts = 4 << 20, 8

// Take copies the memory of an engine, which exports the pointer of its stack.
func (s *Snapshot) Take(m api.Module) {
	memory := m.Memory()
	view, _ := memory.Read(0, memory.Size())
	end := len(view)
	for end > 0 && view[end-1] == 0 {
		end--
	}
	*s = Snapshot{memory: append(s.memory[:0], view[:end]...), size: memory.Size(), pointer: stackPointer(m).Get()}
}

// GoBack writes the memory back, and returns false if a new instance is better.
func (s *Snapshot) GoBack(m api.Module) bool {
	memory := m.Memory()
	most, _ := memory.Definition().Max()
	if grown := int64(memory.Size() - s.size); grown > min(grownBytes, (int64(most)<<16-int64(s.size))/grownParts) {
		return false
	}
	view, ok := memory.Read(0, memory.Size())
	if !ok {
		return false
	}
	clear(view[copy(view, s.memory):])
	stackPointer(m).Set(s.pointer)
	return true
}

func stackPointer(m api.Module) api.MutableGlobal {
	return m.ExportedGlobal("__stack_pointer").(api.MutableGlobal)
}
