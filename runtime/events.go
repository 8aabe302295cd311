package runtime

import (
	"time"

	"github.com/streamproc/streamproc/stream"
)

// Events are called by a Guest, on its worker's goroutine, as things happen. Any of them may be nil. They must not block
// and must not call the guest.
type Events struct {
	Call     func(records int)                             // one call into the guest has returned
	Fuel     func(units int64)                             // so much was spent in it
	Trap     func(reason stream.Reason)                    // a call failed and the instance was replaced
	Recycled func(bytes, limit int64, records int)         // after so many records the memory was nearly full, and the instance is replaced between two batches
	Innocent func()                                        // a call had failed, yet no record of it failed alone
	Broken   func(pause time.Duration, last *stream.Cause) // too many records in a row have failed: the plugin pauses
	Swapped  func(digest string, err error)                // another plugin was to take the place of this one; with an error it did not
	Log      func(level string)                            // a line was logged
	Memory   func(bytes uint32)                            // the size of the linear memory has changed
	Metric   func(name string, delta int64)                // the guest counted something
}
