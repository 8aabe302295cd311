package pipeline

import (
	"time"

	"github.com/streamproc/streamproc/stream"
)

// State is what a pipeline or one of its workers is doing.
type State string

// The states.
const (
	Starting   State = "starting"   // no partition yet
	Running    State = "running"    // records flow, or would
	Stalled    State = "stalled"    // a dependency is away; nothing is lost, and it goes on by itself
	Rebuilding State = "rebuilding" // the last membership ended; a new one is being made
	Halted     State = "halted"     // going on would break a promise: an operator must decide
	Stopped    State = "stopped"
)

// States lists them.
var States = []State{Starting, Running, Stalled, Rebuilding, Halted, Stopped}

// Events are told what happens, by value; each func may be nil. They are called from the workers' goroutines, several at
// a time, and must not block. Apart from Dead and Dropped, none is called for a single record.
type Events struct {
	State      func(worker int, s State, why string)
	Step       func(w Work)
	Checkpoint func(worker int, took time.Duration, err error) // err: it was not committed
	Output     func(sink string, records, bytes int64)         // written by a checkpoint that was committed
	Standing   func(worker int, s Standing)                    // of each partition of a committed checkpoint, and of a stalled one
	Left       func(worker int, p stream.Partition)            // a partition went to another member
	Holding    func(worker int, h Holding)                     // of each step that may hold records, after a committed checkpoint
	Dead       func(c Coordinates)                             // a record went to the dead letters
	Dropped    func(c Coordinates)                             // a record could not be processed, and has been a dead letter too often
}

// Work is what a step did with one batch. What is done again after a crash is told again.
type Work struct {
	Step    string
	In, Out int               // records that came and that went on: they differ also by what is held, or made several of
	Settled [stream.Fates]int // records that left the flow here, by fate; a route's include those of its branches
	Took    time.Duration
}

// Standing is where a partition stands.
type Standing struct {
	Partition stream.Partition
	Floor     int64 // what is committed: everything below is settled
	Next      int64 // the next offset to read
	End       int64 // the end of the partition when it was last fetched from
	First     int64 // timestamp of the first record that the checkpoint has read, in ms; 0 if it has read none
	Last      int64 // timestamp of the last record read, in ms; 0 if there is none
	Committed bool  // the checkpoint was committed; otherwise the worker has stalled
}

// Holding is what a step of one worker holds, over all partitions.
type Holding struct {
	Step   string
	Inputs int
	Oldest time.Time // since when the input waits that waits longest, as far as its offset tells; zero if there is none
}

// Coordinates tell where a dead letter came from and why, for the log, and how often it had been one before.
type Coordinates struct {
	Record, Step, Reason, Message string
	Hops                          int
}

func (e Events) state(worker int, s State, why string) {
	if e.State != nil {
		e.State(worker, s, why)
	}
}
