package sim

import (
	"strings"
	"sync"
)

// tally counts faults and halts. Safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	Faults map[string]int
	Halts  []string
	// Repairs are counted by the sentence that an operator is told them by: they change nothing that can be seen outside.
	Repairs int
}

// repaired is in the sentence that tells of a repair.
const repaired = "was lost and repaired"

func (t *tally) logged(message string) {
	if strings.Contains(message, repaired) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.Repairs++
	}
}

// aimed are the windows in which a membership ends while work is under way, as they are called where a freeze is counted.
var aimed = map[string]string{
	"before JoinGroup": "freeze before JoinGroup leaves",
	"log":              "freeze within the client, as between a loss and what follows from it",
}

func (t *tally) strike(a *aim) {
	t.storm(a.act.String())
	if name := aimed[a.window]; name != "" && a.act == freeze {
		t.storm(name)
	}
}

func (t *tally) storm(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Faults == nil {
		t.Faults = map[string]int{}
	}
	t.Faults[name]++
}

// halt notes that an instance ended by itself: in these scenarios nothing may make one.
func (t *tally) halt(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Halts = append(t.Halts, err.Error())
}
