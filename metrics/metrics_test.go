package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLedgerIsServed(t *testing.T) {
	h := Handler("v1", "go1", func() []Pipeline {
		return []Pipeline{{Name: "p", State: "running", Read: 7, Settled: map[string]int64{"out": 5}, Held: 2, Outputs: map[string]int64{"o": 6}}}
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`streamproc_records_read_total{pipeline="p"} 7`, `streamproc_records_settled_total{pipeline="p",verdict="out"} 5`,
		`streamproc_records_held{pipeline="p"} 2`, `streamproc_ledger_difference{pipeline="p"} 0`, `streamproc_output_records_total{pipeline="p",sink="o"} 6`,
		`streamproc_pipeline_state{pipeline="p",state="running"} 1`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in\n%s", want, w.Body)
		}
	}
}
