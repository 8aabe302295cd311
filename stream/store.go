package stream

// The values that steps with state and the stores below them exchange. They live here because steps and stores do not
// import each other.

// StateKey names the state that one step keeps for one partition. The topic's id tells it from an earlier topic of the
// same name.
type StateKey struct {
	Partition
	TopicID [16]byte
}

// LogState is what a store knows about a partition log: segments of bytes, numbered from First to Last, that together
// hold entries up to the offset Head.
type LogState struct {
	Head    int64   // end offset of the log, or -1 if there is none
	First   int64   // number of the oldest segment
	Lengths []int64 // bytes in segment First, First+1, …; 0 if it is missing
	Secret  []byte  // the key of the digests in this log
}

// Last is the number of the newest segment: First-1 if there is none.
func (s *LogState) Last() int64 { return s.First + int64(len(s.Lengths)) - 1 }

// LogAppend adds one entry to a partition log, if the log is as the caller believes: token, end offset and length agree.
type LogAppend struct {
	Key      StateKey
	Token    string
	From, To int64  // offsets of the entry; From is the end of the log before it
	Segment  int64  // number of the segment to append to
	Length   int64  // its length before
	First    int64  // oldest segment still wanted; older ones are removed
	Data     []byte // the entry
	Init     bool   // the log may have no end yet: it begins at From
	Err      error  // set by the store: nil, ErrStale or ErrLost, wrapped
}

// NextQuery asks for the next sequence of keys, as of the checkpoint named Nonce.
type NextQuery struct {
	Key   StateKey
	Nonce string // last committed nonce
	Keys  []string
	Next  []Next // set by the store, parallel to Keys
	Found []bool // set by the store, parallel to Keys
	Err   error  // set by the store: nil or ErrLost, wrapped
}

// Next is where a key stands: the sequence that is its next, and the log time before which it was last seen, in coarse
// steps. Of two of one key the one that was seen later holds, and of those seen alike the one with the higher sequence.
type Next struct{ Sequence, Seen int64 }

// Before says that b holds, and not a.
func (a Next) Before(b Next) bool {
	return a.Seen < b.Seen || a.Seen == b.Seen && a.Sequence < b.Sequence
}

// Redo is a checkpoint's change of state, void until Kafka holds its nonce. Storing it applies the one before.
type Redo struct {
	Key         StateKey
	Prev, Nonce string // last committed nonce, and the one to come
	Keys        []string
	Next        []Next
	Oldest      int64 // keys last seen before are forgotten for good: the store may drop them
	Err         error // set by the store: nil or ErrLost, wrapped
}
