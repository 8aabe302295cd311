package daemon

import (
	"errors"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/pipeline"
)

// reorder makes the step that restores order.
func (b *builder) reorder(*config.Step) (pipeline.Step, error) {
	return nil, errors.New("reorder is not available in this build")
}
