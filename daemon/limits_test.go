package daemon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// causes are why the records of a dead-letter topic are there.
func (p *place) causes(topic string, n int) []string {
	p.Helper()
	return p.consume(topic, n, func(r *kgo.Record) string {
		for _, h := range r.Headers {
			if h.Key == "sp-error" {
				return string(h.Value)
			}
		}
		return ""
	})
}

func TestLimitsAreTakenUpByAReload(t *testing.T) {
	limited := func(fuel int) string {
		return strings.Replace(guarded, `wasm: "${PLUGIN}"`, "plugin: guard", 1) + fmt.Sprintf("resources: { plugins: { guard: { wasm: \"${PLUGIN}\", limits: { fuel: %d } } } }\n", fuel)
	}
	p := newPlace(t, limited(5_000_000), inAndOut(1))
	r := p.d.running()[0]
	for i, fuel := range []int{5_000_000, 20_000, 7_000_000} {
		if i > 0 {
			p.write(limited(fuel))
			if c := p.reload(ReloadOptions{Now: true}, Swapped)[0]; c.Why != "settings of guard" || p.d.running()[0] != r {
				t.Errorf("the swap is told as %+v", c)
			}
		}
		p.feed("in", "loop", fmt.Sprintf(`{"id":"%d"}`, i))
		p.until("guarded", func(s Status) bool { return s.Ledger.DeadLettered == int64(i+1) && s.Ledger.Out == int64(i+1) })
		if why := p.causes("guarded.dlq", i+1)[i]; !strings.Contains(why, fmt.Sprintf("limit fuel of %d units", fuel)) {
			t.Errorf("with %d units the cause is %q", fuel, why)
		}
	}
}
