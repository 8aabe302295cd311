// Package abi is the layout of the bytes that cross the border between streamproc and a plugin: ABI sp1, as specified in
// plugins/ABI.md. It is shared by the host and by the Go SDK, so it knows the standard library only. Nothing in it
// panics, whatever bytes it is given, and all offsets are computed in 64 bits.
package abi

import "errors"

// Marker is the export that says that a module speaks this version.
const Marker = "sp_abi_v1"

// Sizes and constants of the two batches.
const (
	Magic          = 0x31425053 // the bytes "SPB1"
	Version        = 1
	HeaderSize     = 32
	RecordSize     = 48
	EntrySize      = 16         // one record header in the data area
	FieldSize      = 8          // one field, behind a descriptor
	Null           = 0xFFFFFFFF // length of a null key, value or record header value
	Inherit        = 0x80000000 // offset in an output: take it from the input record
	InheritTime    = -1 << 63   // timestamp in an output: take it from the input record
	MaxLen         = 1<<31 - 1  // of a whole batch
	UnknownTopic   = 0xFFFF     // a topic that was not in the list given to sp_init
	CursorAt       = 24         // of the header
	verdictAt      = 46         // of a descriptor
	verdictFlagsAt = 47
)

// Columns, as bits: what a batch carries, and the answer of sp_needs.
const (
	Keys uint32 = 1 << iota
	Values
	Headers
	AllColumns = Keys | Values | Headers
)

// Stride is from one descriptor of an input batch to the next, where each has so many fields.
func Stride(fields int) int { return RecordSize + fields*FieldSize }

// Verdict is a guest's answer for one record.
type Verdict = uint8

// The verdicts.
const (
	Keep     Verdict = 0 // passes unchanged
	Drop     Verdict = 1 // filtered
	Fail     Verdict = 2 // dead letter
	Replaced Verdict = 3 // its outputs stand in the output batch; none means filtered
)

// ErrMalformed is what every error of this package is.
var ErrMalformed = errors.New("malformed batch")

// Row is one record in a batch. A slice that is nil is null; one that is empty is empty.
type Row struct {
	Key, Value []byte
	Timestamp  int64 // ms
	Offset     int64
	Partition  uint32
	Topic      uint16
}
