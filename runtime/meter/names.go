package meter

import (
	"bytes"
	"encoding/binary"
)

// nameBytes is how long the name of a module or function may be for a trap to tell: each of some 30 callers is written out.
const nameBytes = 4 << 10

const namesPrefix = "\x04name"

// tellable says whether a custom section is that of the names, and none of them is so long, or wrong, that it had better be left out.
func tellable(section []byte) bool {
	rest, ok := bytes.CutPrefix(section, []byte(namesPrefix))
	for ok && len(rest) > 0 {
		id := rest[0]
		var part []byte
		if part, rest, ok = cutBytes(rest[1:]); !ok {
			break
		}
		switch id {
		case 0:
			_, _, ok = cutName(part)
		case 1:
			ok = shortNames(part)
		}
	}
	return ok
}

// shortNames reads the names of functions, each behind its number.
func shortNames(part []byte) (ok bool) {
	n, part, ok := cutNumber(part)
	for ; ok && n > 0; n-- {
		if _, part, ok = cutNumber(part); ok {
			_, part, ok = cutName(part)
		}
	}
	return ok
}

func cutName(b []byte) (name, rest []byte, ok bool) {
	name, rest, ok = cutBytes(b)
	return name, rest, ok && len(name) <= nameBytes
}

func cutBytes(b []byte) (part, rest []byte, ok bool) {
	n, b, ok := cutNumber(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}
