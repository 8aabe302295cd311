//go:build toolchains

package guests

import (
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
	"github.com/streamproc/streamproc/internal/guesttest"
)

// TestGuestsMakeTheSameOfFieldsAsOfValues builds every guest, and compares what it makes of bids: in any language, with
// fields and without, that is what the judge of the bench wants.
func TestGuestsMakeTheSameOfFieldsAsOfValues(t *testing.T) {
	if out, err := exec.Command("make").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	var in, euros, seen []string
	for n := range int64(2000) {
		value := string(bid.Append(nil, n))
		if n%3 == 0 { // spaces, and something nested in front that has the same names
			value = ` {"nested":{"price":[1,{"auction":2}],"channel":"\"}"}, ` + value[1:] + "\n"
		}
		in, euros = append(in, value), append(euros, string(bid.AppendEuro(nil, n)))
		seen = append(seen, "filtered")
		if auction, _ := strconv.Atoi(string(bid.Key(n))); auction%123 == 0 {
			seen[n] = fmt.Sprintf(`{"auction":%d,"price":%d}`, auction, bid.Price(n))
		}
	}
	for query, want := range map[string][]string{"q1": euros, "q2": seen, "members": seen, "filter": in} {
		for _, name := range guestsOf(query) {
			t.Run(name, func(t *testing.T) {
				guesttest.Check(t, guesttest.Outcome(t, guest(t, name), guesttest.Batch(in...)), want...)
			})
		}
	}
}
