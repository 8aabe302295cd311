package pipeline

import "time"

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

// Events are told what happens, by value; each func may be nil. They are called from the workers' goroutines, several at
// a time, and must not block.
type Events struct {
	State      func(worker int, s State, why string)
	Step       func(name string, records int, took time.Duration) // a step has processed so many records
	Checkpoint func(worker int, took time.Duration, err error)    // err: it was not committed
	Output     func(sink string, records, bytes int64)            // written by a checkpoint that was committed
	Dead       func(c Coordinates)                                // a record went to the dead letters
}

// Coordinates tell where a dead letter came from and why, for the log.
type Coordinates struct{ Record, Step, Reason, Message string }

func (e Events) state(worker int, s State, why string) {
	if e.State != nil {
		e.State(worker, s, why)
	}
}
