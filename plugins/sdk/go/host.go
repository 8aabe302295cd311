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
