package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The partition log is a sequence of entries, little-endian:
//
//	version u8 = 1 | crc32c u32 of all that follows | size u32 of all that follows |
//	from u64 | to u64 | generation i64 | bitmap u32 | extras u32 | digests u32 |
//	bitmap bytes | extras × (offset-from u32, sub u16) | digests × 16 bytes
//
// Entries are contiguous: from is the to of the one before. Bit i says that the record at from+i was the first of its
// id; the bitmap ends at the last one set. Where steps before dedup made several records of one offset, sub numbers them,
// and extras lists the firsts with sub ≥ 1.
const (
	entryVersion  = 1
	entryHead     = 9
	entryFixed    = 8 + 8 + 8 + 4 + 4 + 4
	extraBytes    = 6
	digestBytes   = 16
	entryMaxBytes = 64 << 20 // of one entry; a larger size is damage
	// spanLimit bounds the bitmap of one entry where a log has large gaps between offsets.
	spanLimit = 1 << 19
	subLimit  = 1<<16 - 1 // records of one offset that can be told apart
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// errHole says that the bytes at some place of a log are not an entry, or not the one that must follow.
var errHole = errors.New("no entry here")

type extra struct {
	delta uint32
	sub   uint16
}

// entry holds the verdicts of the offsets [from, to), and the digests of those that were first.
type entry struct {
	from, to int64
	gen      int64
	bitmap   []byte
	extras   []extra
	digests  []digest
}

func (e *entry) reset(from, gen int64) {
	e.from, e.to, e.gen = from, from, gen
	e.bitmap, e.extras, e.digests = e.bitmap[:0], e.extras[:0], e.digests[:0]
}

// first notes that record sub of offset was the first of its id.
func (e *entry) first(offset int64, sub int, d digest) {
	i := offset - e.from
	if sub == 0 {
		for int64(len(e.bitmap)) <= i/8 {
			e.bitmap = append(e.bitmap, 0)
		}
		e.bitmap[i/8] |= 1 << (i % 8)
	} else {
		e.extras = append(e.extras, extra{uint32(i), uint16(sub)})
	}
	e.digests = append(e.digests, d)
}

// isFirst returns the verdict of record sub of offset.
func (e *entry) isFirst(offset int64, sub int) bool {
	i := offset - e.from
	if sub == 0 {
		return i/8 < int64(len(e.bitmap)) && e.bitmap[i/8]&(1<<(i%8)) != 0
	}
	for _, x := range e.extras {
		if int64(x.delta) == i && int(x.sub) == sub {
			return true
		}
	}
	return false
}

func (e *entry) append(b []byte) []byte {
	start := len(b)
	b = append(b, entryVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(e.from))
	b = le.AppendUint64(b, uint64(e.to))
	b = le.AppendUint64(b, uint64(e.gen))
	b = le.AppendUint32(b, uint32(len(e.bitmap)))
	b = le.AppendUint32(b, uint32(len(e.extras)))
	b = le.AppendUint32(b, uint32(len(e.digests)))
	b = append(b, e.bitmap...)
	for _, x := range e.extras {
		b = le.AppendUint16(le.AppendUint32(b, x.delta), x.sub)
	}
	for _, d := range e.digests {
		b = le.AppendUint64(le.AppendUint64(b, d[0]), d[1])
	}
	le.PutUint32(b[start+5:], uint32(len(b)-start-entryHead))
	le.PutUint32(b[start+1:], crc32.Checksum(b[start+5:], crcTable))
	return b
}

// decodeEntry reads the entry at the start of b and returns its length; 0 and no error ask for more bytes.
func decodeEntry(b []byte) (e entry, length int, err error) {
	if len(b) < entryHead {
		return e, 0, nil
	}
	le := binary.LittleEndian
	if b[0] != entryVersion {
		return e, 0, fmt.Errorf("%w: version %d", errHole, b[0])
	}
	size := int64(le.Uint32(b[5:]))
	if size < entryFixed || size > entryMaxBytes {
		return e, 0, fmt.Errorf("%w: size %d", errHole, size)
	}
	length = entryHead + int(size)
	if len(b) < length {
		return e, 0, nil
	}
	if crc32.Checksum(b[5:length], crcTable) != le.Uint32(b[1:]) {
		return e, 0, fmt.Errorf("%w: checksum", errHole)
	}
	e, err = decodeBody(b[entryHead:length])
	return e, length, err
}

func decodeBody(b []byte) (entry, error) {
	le := binary.LittleEndian
	e := entry{from: int64(le.Uint64(b)), to: int64(le.Uint64(b[8:])), gen: int64(le.Uint64(b[16:]))}
	bitmap, extras, digests := int64(le.Uint32(b[24:])), int64(le.Uint32(b[28:])), int64(le.Uint32(b[32:]))
	b = b[entryFixed:]
	if bitmap+extras*extraBytes+digests*digestBytes != int64(len(b)) || e.from < 0 || e.to < e.from {
		return e, fmt.Errorf("%w: lengths do not add up", errHole)
	}
	e.bitmap = append([]byte(nil), b[:bitmap]...)
	b = b[bitmap:]
	e.extras = make([]extra, extras)
	for i := range e.extras {
		e.extras[i] = extra{le.Uint32(b[i*extraBytes:]), le.Uint16(b[i*extraBytes+4:])}
	}
	b = b[extras*extraBytes:]
	e.digests = make([]digest, digests)
	for i := range e.digests {
		e.digests[i] = digest{le.Uint64(b[i*digestBytes:]), le.Uint64(b[i*digestBytes+8:])}
	}
	return e, nil
}
