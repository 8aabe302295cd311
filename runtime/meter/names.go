package meter

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// nameBytes is how long the name of a module or function may be for a trap to tell: each of some 30 callers is written out.
const nameBytes = 4 << 10

const namesPrefix = "\x04name"

// The parts of the section of names that a trap tells.
const (
	moduleName    = 0
	functionNames = 1
)

// tellable is the section of names with what a trap tells of them, or nil if any of that is so long, or wrong, that it had better be left
// out: the engine believes what is written there, as how many names there are.
func tellable(section []byte) []byte {
	rest, ok := bytes.CutPrefix(section, []byte(namesPrefix))
	out := []byte(namesPrefix)
	for ok && len(rest) > 0 {
		id := rest[0]
		var part []byte
		if part, rest, ok = cutBytes(rest[1:]); !ok {
			break
		}
		switch id {
		case moduleName:
			ok = shortNames(part, 1, false)
		case functionNames:
			n, names, counted := cutNumber(part)
			ok = counted && shortNames(names, n, true)
		default:
			continue
		}
		out = append(unsigned(append(out, id), uint64(len(part))), part...)
	}
	if !ok {
		return nil
	}
	return out
}

// shortNames says whether there are so many names, each of them behind a number if it is numbered, and nothing else.
func shortNames(part []byte, n uint64, numbered bool) (ok bool) {
	for ok = true; ok && n > 0; n-- {
		if numbered {
			if _, part, ok = cutNumber(part); !ok {
				break
			}
		}
		var name []byte
		name, part, ok = cutBytes(part)
		ok = ok && len(name) <= nameBytes && utf8.Valid(name)
	}
	return ok && len(part) == 0
}

func cutBytes(b []byte) (part, rest []byte, ok bool) {
	n, b, ok := cutNumber(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// cutNumber reads a number of 32 bits.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || size > 5 || n > math.MaxUint32 {
		return 0, nil, false
	}
	return n, b[size:], true
}
