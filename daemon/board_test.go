package daemon

import (
	"testing"

	"github.com/streamproc/streamproc/pipeline"
)

func TestAPipelineThatStandsStillIsStalledWhateverItsWorkersSay(t *testing.T) {
	b := newBoard(nil)
	b.set(0, pipeline.Running, "")
	b.stuck("an offset waits")
	if s, why := b.state(); s != pipeline.Stalled || why != "an offset waits" {
		t.Errorf("%s, %q", s, why)
	}
	b.set(0, pipeline.Halted, "a halt")
	if s, why := b.state(); s != pipeline.Halted || why != "a halt" {
		t.Errorf("a halt is graver: %s, %q", s, why)
	}
	b.set(0, pipeline.Running, "")
	b.stuck("")
	if s, why := b.state(); s != pipeline.Running || why != "" {
		t.Errorf("afterwards %s, %q", s, why)
	}
}
