package kafka

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/streamproc/streamproc/stream"
)

// The metadata string of a commit: v1|nonce|head|watermark|note|skips. It stays far below the 4,096 bytes that a broker takes.
const metadataVersion = "v1"

// begunMetadata is that of a commit which says where the group begins, before any record was read. To all but the reading it
// is as if there was none: no state belongs to it.
const begunMetadata = "begun"

func encodeMetadata(c stream.Commit) string {
	w := ""
	if c.Watermark != math.MinInt64 {
		w = strconv.FormatInt(c.Watermark, 10)
	}
	return fmt.Sprintf("%s|%s|%d|%s|%s|%s", metadataVersion, c.Nonce, c.Head, w, c.Note, c.Skips)
}

// begins is where reading begins by a commit.
func begins(c stream.Commit) int64 {
	if c.Floor < 0 {
		return c.Head
	}
	return c.Floor
}

// decodeMetadata reads what encodeMetadata wrote. Metadata of others (a tool that reset the offsets wipes it) leaves the
// head at the floor and no nonce: nothing is known about what was processed above it.
func decodeMetadata(offset int64, s *string) stream.Commit {
	c := stream.Commit{Floor: max(offset, -1), Head: max(offset, 0), Watermark: math.MinInt64}
	if s == nil {
		return c
	}
	if *s == begunMetadata {
		c.Floor = -1
		return c
	}
	f := strings.Split(*s, "|")
	if len(f) < 4 || f[0] != metadataVersion {
		return c
	}
	head, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || head < c.Floor {
		return c
	}
	c.Nonce, c.Head = f[1], head
	if w, err := strconv.ParseInt(f[3], 10, 64); err == nil {
		c.Watermark = w
	}
	if len(f) > 4 {
		c.Note = f[4]
	}
	if len(f) > 5 {
		c.Skips = stream.Skips(f[5])
	}
	return c
}
