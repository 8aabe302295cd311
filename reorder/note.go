package reorder

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// note is what a commit keeps of a partition beside its sequences: "logtime" or "logtime/held/sum".
type note struct {
	logTime int64 // running maximum of the timestamps below the floor, and of the first record that waits
	whole   bool  // held and sum are known
	held    int   // inputs that wait
	sum     uint64
}

func (l *lane) note(patience time.Duration) note {
	n := note{logTime: l.logTime}
	if h := l.oldest(); h != nil { // the floor is its offset
		n.logTime = h.deadline - patience.Milliseconds()
	}
	if l.polled >= l.head {
		n.whole, n.held, n.sum = true, len(l.floor.inputs), l.floor.sum
	}
	return n
}

// below is the generation of the log time before what the floor of a commit would be now.
func (l *lane) below() int64 {
	if h := l.oldest(); h != nil {
		return h.before
	}
	return l.generation(l.logTime)
}

func (n note) String() string {
	at := ""
	if n.logTime != math.MinInt64 {
		at = strconv.FormatInt(n.logTime, 10)
	}
	if !n.whole {
		return at
	}
	return fmt.Sprintf("%s/%d/%x", at, n.held, n.sum)
}

// parseNote reads what String wrote. Of anything else it makes a note that knows nothing.
func parseNote(s string) note {
	n := note{logTime: math.MinInt64}
	f := strings.Split(s, "/")
	if at, err := strconv.ParseInt(f[0], 10, 64); err == nil {
		n.logTime = at
	}
	if len(f) != 3 {
		return n
	}
	held, err := strconv.Atoi(f[1])
	if err != nil {
		return n
	}
	if n.sum, err = strconv.ParseUint(f[2], 16, 64); err == nil {
		n.whole, n.held = true, held
	}
	return n
}
