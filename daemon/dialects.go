package daemon

import (
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/command"
	"github.com/streamproc/streamproc/runtime/compat/fluvio"
	"github.com/streamproc/streamproc/runtime/compat/redpanda"
	"github.com/streamproc/streamproc/runtime/js"
)

// Dialects are the ABIs that plugins may speak beside sp1.
func Dialects() []runtime.Dialect {
	return []runtime.Dialect{&js.Script{}, redpanda.Dialect{}, fluvio.Dialect{}, command.Dialect{}, command.Dialect{PerBatch: true}}
}
