package sim

import "sync"

// tally counts faults and halts. Safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	Faults map[string]int
	Halts  []string
}

func (t *tally) count(a act) { t.storm(a.String()) }

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
