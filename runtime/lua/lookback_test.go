package lua

import (
	"context"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// counting counts the records that a guest is given.
type counting struct {
	*runtime.Guest
	given int
}

func (c *counting) Process(ctx context.Context, b *stream.Batch) error {
	c.given += len(b.Records)
	return c.Guest.Process(ctx, b)
}

// TestAThrowCostsNoReplay has a script throw at a run of records: it goes back to the memory it had.
func TestAThrowCostsNoReplay(t *testing.T) {
	const back, thrown = 300, 100
	guest := &counting{Guest: newRig(t).Guest(`local sum = 0
function map(v) if v == 0 then sum = -1e9 error("zero") end sum = sum + v return sum end`)}
	step := &pipeline.LookBack{Rememberer: guest, Offsets: back}
	values := strings.Fields(strings.Repeat("1 ", back) + strings.Repeat("0 ", thrown) + "1")
	b := guesttest.Batch(values...)
	if err := step.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i := range b.Records {
		if dead := b.Records[i].Fate == stream.DeadLettered; dead != (values[i] == "0") {
			t.Fatalf("record %d came to %v, %+v", i, b.Records[i].Fate, b.Records[i].Cause)
		}
	}
	if got := string(b.Records[len(values)-1].Value); got != "301" {
		t.Errorf("after the run it came to %s", got)
	}
	if most := 2*len(values) + back; guest.given > most {
		t.Errorf("for %d records %d were given, want no more than %d", len(values), guest.given, most)
	}
}
