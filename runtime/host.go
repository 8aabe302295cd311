package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// hostFunction is one function that guests may import. Each is a GoModuleFunc: reflection costs 28 times as much.
type hostFunction struct {
	module, name string
	sig          signature
	call         func(g *Guest, m api.Module, stack []uint64)
}

var hostFunctions = append([]hostFunction{
	{"sp1", "log", sig("iii:"), hostLog},
	{"sp1", "error", sig("iii:"), hostError},
	{"sp1", "metric_add", sig("iI:"), hostMetricAdd},
	{"sp1", "now_ms", sig(":I"), hostNow},
	{"sp1", kvGet, sig("iiii:i"), hostKVGet},
	{"env", "abort", sig("iiii:"), hostAbort},
}, wasiFunctions...)

// guestKey finds the Guest in the context of a call.
type guestKey struct{}

// installHost puts our functions, and those of the dialects, into an engine.
func (rt *Runtime) installHost(ctx context.Context, e wazero.Runtime) error {
	byModule := map[string][]hostFunction{}
	all := hostFunctions[:len(hostFunctions):len(hostFunctions)]
	for _, d := range rt.dialects {
		all = append(all, foreign(d)...)
	}
	for _, f := range all {
		byModule[f.module] = append(byModule[f.module], f)
	}
	for module, functions := range byModule {
		b := e.NewHostModuleBuilder(module)
		for _, f := range functions {
			fn := api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
				f.call(ctx.Value(guestKey{}).(*Guest), m, stack)
			})
			b = b.NewFunctionBuilder().WithGoModuleFunction(fn, f.sig.params, f.sig.results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("installing the host module %s: %w", module, err)
		}
	}
	return nil
}

// stop ends a call from inside a host function: wazero turns the panic into the error of the call.
type stop struct {
	reason  stream.Reason
	message string
}

func (s *stop) Error() string { return s.message }

var (
	errExit  = &stop{stream.ReasonTrap, "the plugin called proc_exit"}
	errSpent = &stop{stream.ReasonTrap, "the plugin has spent its fuel"}
)

// What the host does for a guest is paid for by the guest.
const (
	costHostCall    = 64
	costBytesShift  = 2      // one unit for 4 bytes, as for the copies of the guest's own
	costRandomShift = 0      // each byte is made one by one
	costUnwind      = 50_000 // a panic of Go, and a trace of the guest's calls
)

func (g *Guest) charge(n int, shift uint) {
	if b := &g.instance.budget; b.fuel != nil {
		b.charge(costHostCall + int64(n>>shift))
	}
}

// enter lets the guest pay for calling a function of the host.
func (g *Guest) enter() {
	g.charge(0, 0)
	g.afford()
}

// afford ends a call, from inside a host function, that has spent more than it has. The code of a guest asks only where it
// loops and where a function begins: a long row of calls of the host has neither.
func (g *Guest) afford() {
	if b := &g.instance.budget; b.fuel != nil && int64(b.fuel.Get()) < 0 {
		panic(errSpent)
	}
}

func (g *Guest) countHostCall() {
	if g.hostCalls++; g.hostCalls > hostCallsPerRecord*max(1, g.calling) {
		panic(&stop{stream.ReasonLimit, fmt.Sprintf("more than %d host calls per record", hostCallsPerRecord)})
	}
}

func u32(v uint64) uint32 { return uint32(v) }

// read returns a view of guest memory; it is good until the guest runs on.
func read(m api.Module, ptr, n uint64) ([]byte, bool) {
	if m.Memory() == nil {
		return nil, false
	}
	return m.Memory().Read(u32(ptr), u32(n))
}

func hostLog(g *Guest, m api.Module, stack []uint64) {
	g.countHostCall()
	if b, ok := read(m, stack[1], stack[2]); ok {
		g.charge(min(len(b), logLineBytes), 0)
		g.log(u32(stack[0]), b)
	}
}

func hostError(g *Guest, m api.Module, stack []uint64) {
	g.countHostCall()
	b, ok := read(m, stack[1], stack[2])
	index := int32(u32(stack[0]))
	if !ok || index < -1 || int(index) >= g.calling {
		return
	}
	if g.reasons == nil {
		g.reasons = map[int32]string{}
	}
	g.reasons[index] = escape(b, reasonBytes)
}

func hostMetricAdd(g *Guest, _ api.Module, stack []uint64) {
	g.countHostCall()
	if id := u32(stack[0]); int64(id) < int64(len(g.plugin.metrics)) && g.events.Metric != nil {
		g.events.Metric(g.plugin.metrics[id], int64(stack[1]))
	}
}

// hostNow is the greatest timestamp of the batch, so that a replay gives what the first run gave, unless the plugin has
// the clock.
func hostNow(g *Guest, _ api.Module, stack []uint64) {
	if g.countHostCall(); g.plugin.clock {
		stack[0] = uint64(time.Now().UnixMilli())
		return
	}
	stack[0] = uint64(g.now)
}

// hostAbort is how AssemblyScript reports what is thrown: a message and a file, each in UTF-16 with its length in bytes before
// it, line and column.
func hostAbort(_ *Guest, m api.Module, stack []uint64) {
	text, file := "abort", "line "
	if b, ok := utf16At(m, u32(stack[0])); ok {
		text = "abort: " + escape(b, reasonBytes)
	}
	if b, ok := utf16At(m, u32(stack[1])); ok {
		file = escape(b, reasonBytes) + ":"
	}
	panic(&stop{stream.ReasonTrap, fmt.Sprintf("%s (%s%d:%d)", text, file, u32(stack[2]), u32(stack[3]))})
}

func utf16At(m api.Module, ptr uint32) ([]byte, bool) {
	if ptr < 4 || m.Memory() == nil {
		return nil, false
	}
	n, ok := m.Memory().ReadUint32Le(ptr - 4)
	if !ok {
		return nil, false
	}
	b, ok := m.Memory().Read(ptr, min(n, 2*reasonBytes))
	if !ok {
		return nil, false
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return []byte(string(utf16.Decode(units))), true
}

func stopOf(err error) (*stop, bool) {
	var s *stop
	ok := errors.As(err, &s)
	return s, ok
}

// Exited says whether an error is that of a guest that ended itself.
func Exited(err error) bool { return errors.Is(err, errExit) }
