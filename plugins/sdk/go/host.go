package sp1

// Level is how grave a line of the log is.
type Level int32

// The levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line to the log of the pipeline. It is escaped and cut there; native builds write nothing.
func Log(level Level, text string) { writeLog(level, text) }

// Now is the time of the batch in milliseconds since the Unix epoch: its greatest timestamp, so that a replay sees the
// same; 0 in native builds.
func Now() int64 { return now() }

// Count adds to a counter: that of place id in the metrics of the start message, from 0. What is below 0 is left out, and
// so is a counter that there is not; native builds count nothing.
func Count(id int, delta int64) { count(id, delta) }

// What lookup answers besides the length of a value.
const (
	absent  = -1
	refused = -2
)

// Lookup returns the value of a key in the store that the configuration gives the plugin (kv), and whether there is one.
// Within a batch a key has one value. A store that does not answer is no matter of the plugin: the batch comes again.
// Lookup is for handlers, and panics elsewhere; in native builds it finds nothing.
func Lookup(key []byte) (value []byte, found bool) {
	value = make([]byte, firstValue)
	n := lookup(key, value)
	if int(n) > len(value) {
		value = make([]byte, n)
		n = lookup(key, value)
	}
	switch n {
	case absent:
		return nil, false
	case refused:
		panic("sp1: Lookup outside of a call for records")
	}
	return value[:n], true
}

// firstValue is how large most values are at most; a larger one takes a second call.
const firstValue = 1 << 10
