//go:build synctests

package kafka

import "time"

// bootNanos is the virtual clock of a synctest bubble, in which franz-go's tag synctests lets a client live.
func bootNanos() int64 { return time.Now().UnixNano() }
