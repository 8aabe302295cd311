package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamproc/streamproc/config"
)

// storeCheck bounds how long the settings of one Redis are looked at before a pipeline starts.
const storeCheck = 3 * time.Second

// storesOf returns where the steps of a pipeline keep their state.
func storesOf(p *config.Pipeline) (list []*config.Redis) {
	for i := range p.Steps {
		var r *config.Redis
		switch st := &p.Steps[i]; {
		case st.Dedup != nil:
			r = st.Dedup.Store
		case st.Reorder != nil && st.Reorder.Sequence != "":
			r = st.Reorder.Store
		}
		if r != nil && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list
}

// inspect looks at the settings on which the safety of a pipeline's state depends. Warnings are for people; an error says why
// the pipeline may not run like this. What does not answer has no settings.
func (d *Daemon) inspect(ctx context.Context, p *config.Pipeline) (warnings []string, err error) {
	for _, r := range storesOf(p) {
		cx, cancel := context.WithTimeout(ctx, storeCheck)
		report, failed := d.stores[r].Check(cx)
		cancel()
		if failed != nil {
			continue // it is waited for, or told as away
		}
		for _, w := range report.Warnings {
			warnings = append(warnings, fmt.Sprintf("redis %s: %s", r.Name, w))
		}
		if p.ExactlyOnce && report.Evicts() {
			return warnings, fmt.Errorf("redis %s: maxmemory-policy is %s, and delivery is exactly_once: Redis may evict what duplicates are known by; set noeviction", r.Name, report.MaxmemoryPolicy)
		}
	}
	return warnings, nil
}

// admit says what is unsafe about the stores of a pipeline before it starts, or refuses it.
func (d *Daemon) admit(ctx context.Context, r *running) error {
	warnings, err := d.inspect(ctx, r.cfg)
	for _, w := range warnings {
		r.log.Warn(w)
	}
	return err
}
