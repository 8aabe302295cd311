package dedup

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

const secretBytes = 32

// hasher makes digests: HMAC-SHA-256, cut to 16 bytes. The key is a secret of the partition log, so that nobody outside
// can make two ids that collide and have another's record dropped.
type hasher struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newHasher(secret []byte) *hasher { return &hasher{mac: hmac.New(sha256.New, secret)} }

func (h *hasher) digest(id []byte) digest {
	h.mac.Reset()
	h.mac.Write(id)
	sum := h.mac.Sum(h.sum[:0])
	return digest{binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])}
}

func newSecret() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b)
	return b
}
