package daemon

import (
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/command"
	"github.com/streamproc/streamproc/runtime/compat/conduit"
	"github.com/streamproc/streamproc/runtime/compat/connect"
	"github.com/streamproc/streamproc/runtime/compat/extism"
	"github.com/streamproc/streamproc/runtime/compat/fluvio"
	"github.com/streamproc/streamproc/runtime/compat/redpanda"
	"github.com/streamproc/streamproc/runtime/js"
	"github.com/streamproc/streamproc/runtime/lua"
	"github.com/streamproc/streamproc/runtime/py"
)

// Dialects are the ABIs that plugins may speak beside sp1.
func Dialects() []runtime.Dialect {
	return []runtime.Dialect{&js.Script{}, &lua.Script{}, &py.Script{}, redpanda.Dialect{}, fluvio.Dialect{}, connect.Dialect{}, extism.Dialect{}, conduit.Dialect{},
		command.Dialect{}, command.Dialect{PerBatch: true}}
}
