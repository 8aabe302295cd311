package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// Dialect is an ABI other than sp1 that a module may speak. It holds no state and is shared by all guests.
type Dialect interface {
	// Name is the word for it in configurations and messages.
	Name() string
	// Speaks says, by imports and exports alone, whether a module is meant for this ABI.
	Speaks(m *meter.Module) bool
	// Check says what such a module lacks, or wants and does not get. That its imports are known is checked after it.
	Check(m *meter.Module) error
	// Functions are what it offers to its guests besides WASI. Their names must not clash with those of another dialect.
	Functions() []HostFunction
	// Open makes the session with a new instance, which has not run yet.
	Open(h *Host) (Session, error)
}

// Session is the conversation with one instance. Its methods are called by the goroutine that owns the guest, one at a
// time. After an error of Start or Process only Reset, if it has that, or Close follows.
type Session interface {
	// Start runs the guest until it is ready for records.
	Start(ctx context.Context) error
	// Process hands the records of c over and answers each. After an error none of the answers count: the records come
	// again in smaller calls, unless there was only one.
	Process(ctx context.Context, c *Call) error
	// Close tells the guest that this is the end, as far as the ABI has a way to. The instance is closed after it.
	Close(ctx context.Context) error
}

// Resetter is a Session that can go back to where Start left it, which is cheaper than a new instance. Reset returns
// false if it cannot.
type Resetter interface {
	Reset(ctx context.Context) bool
}

// Frugal is a Dialect whose guests have other default limits. A zero field leaves the default. The most fuel that may be
// set is twice the default, if that is more than for others. A dialect that says Large answers for the bytes of its
// modules: that they are those of a digest. Where the dialect is seen from the module, only the fuel counts.
type Frugal interface{ Defaults() Limits }

// SlowStarter is a Dialect whose guests may spend more than others until they are ready.
type SlowStarter interface{ StartFuel() int64 }

// Looker is a Dialect whose guests may look keys up, as those of sp1 may, by Host.Lookup.
type Looker interface{ LooksUp() }

// The powers that a Session may have over its guest's WASI, which reaches nothing without them.
type (
	// Environment has arguments and variables ("NAME=value") for the guest.
	Environment interface {
		Arguments() []string
		Variables() []string
	}
	// Clock tells the guest the time, in nanoseconds; monotonic is the clock that only measures spans.
	Clock interface {
		Now(monotonic bool) uint64
	}
	// Stdio is what the guest reads and writes as files 0 and 1. Read returns 0 at the end of input. Write returns false
	// to leave b to the log.
	Stdio interface {
		Read(b []byte) int
		Write(b []byte) bool
	}
	// Exit is told the code with which the guest ends itself.
	Exit interface {
		Exited(code uint32)
	}
)

// HostFunction is one function that guests of a dialect may import. Types are written "ii:I": parameters, a colon,
// results; i is an i32 and I an i64. Call gets the session of the guest that calls.
type HostFunction struct {
	Module, Name, Types string
	Call                func(s Session, m api.Module, stack []uint64)
}

// Stop ends the guest's call from inside a host function: Process gets it as an error, wrapped. The instance is
// replaced after it.
func Stop(r stream.Reason, message string) { panic(&stop{r, message}) }

// Failure is a call that failed on the guest's side: it keeps its instance if alive is true.
func Failure(r stream.Reason, message string, alive bool) error {
	return &failure{stop{r, message}, alive}
}

// Breach is a guest that does not keep to its ABI.
func Breach(format string, args ...any) error { return &breach{fmt.Sprintf(format, args...)} }

type failure struct {
	stop
	alive bool
}

// Host is what a session gets of its guest: the instance, and the settings of the plugin.
type Host struct {
	Module api.Module
	guest  *Guest
}

// Mode is what the step wants.
func (h *Host) Mode() Mode { return h.guest.mode }

// Name is the name of the plugin.
func (h *Host) Name() string { return h.guest.plugin.name }

// Config is the user's configuration of the plugin, a JSON object.
func (h *Host) Config() json.RawMessage {
	if len(h.guest.plugin.userConfig) == 0 {
		return json.RawMessage("{}")
	}
	return h.guest.plugin.userConfig
}

// Settings are the configuration as names and texts. What is no text is its JSON.
func (h *Host) Settings() (map[string]string, error) {
	var config map[string]json.RawMessage
	if err := json.Unmarshal(h.Config(), &config); err != nil {
		return nil, err
	}
	settings := make(map[string]string, len(config))
	for name, value := range config {
		text := string(value)
		if value[0] == '"' {
			if err := json.Unmarshal(value, &text); err != nil {
				return nil, err
			}
		}
		settings[name] = text
	}
	return settings, nil
}

// Topics are the input topics.
func (h *Host) Topics() []string { return h.guest.plugin.topicNames }

// Outputs are the names of the outputs, beside the unnamed one.
func (h *Host) Outputs() []string {
	var names []string
	for _, o := range h.guest.plugin.outputs {
		names = append(names, o.Name)
	}
	return names
}

// MemoryBytes is the limit of the guest's memory.
func (h *Host) MemoryBytes() int64 { return h.guest.plugin.limits.MemoryBytes }

// Fuel is what the guest may still spend, and what it had before. It is for host functions, which the guest waits for.
func (h *Host) Fuel() (left, given int64) {
	b := &h.guest.instance.budget
	return b.given - b.used(), b.given
}

// Again puts a new instance, which has not run, in the place of the one at hand, with the budget of the call: for guests
// that run once and end. It is for Process only.
func (h *Host) Again(ctx context.Context) error {
	g := h.guest
	if err := h.Module.Close(ctx); err != nil { // first, so that there is the memory of one at a time
		return err
	}
	m, err := g.instantiate(ctx)
	if err != nil {
		return err
	}
	h.Module = m
	if err := g.phase(ctx, meter.StartExport, "the start function"); err != nil {
		return err
	}
	g.instance.budget.refill(g.fuelFor(g.calling), g.plugin.limits.Depth)
	return nil
}

// Protect runs call, which calls the guest from inside a host function that the guest has called, and says whether Unwind
// ended it. If so, the guest is as deep in calls as it was before, and may go on. Any other error ends the call around it too.
func (h *Host) Protect(call func() error) (unwound bool, err error) {
	b := &h.guest.instance.budget
	depth := b.depth.Get()
	if err = call(); !errors.Is(err, errUnwound) {
		return false, err
	}
	b.depth.Set(depth)
	b.charge(costUnwind)
	return true, nil
}

// Unwind ends, from inside a host function, the guest's call that Protect runs: what longjmp does where there is one.
func Unwind() { panic(errUnwound) }

var errUnwound = errors.New("the guest unwinds its calls, and nobody has asked it to")

// Log writes a line of the guest to the log: 0 debug … 3 error.
func (h *Host) Log(level uint32, line []byte) { h.guest.log(level, line) }

// Keep keeps v for the session with the instance that takes the place of this one, who asks for it with Kept.
func (h *Host) Keep(v any) { h.guest.kept = v }

// Kept is what an earlier session of this guest has kept, or nil.
func (h *Host) Kept() any { return h.guest.kept }

// Context returns ctx with the guest in it, for calls of the instance's functions.
func (h *Host) Context(ctx context.Context) context.Context { return h.guest.context(ctx) }

// Charge lets the guest pay for so many bytes that the host copies or clears for it.
func (h *Host) Charge(bytes int) { h.guest.charge(bytes, costBytesShift) }

// Lookup gives the guest, which is at work on records, the value of a key; nil is none, and given false that it was given
// nothing to read. It counts as a call of a host function. Whatever keeps it from a value ends the call of the guest.
func (h *Host) Lookup(key []byte) (value []byte, given bool) {
	h.CountCall()
	return h.guest.lookUp(key)
}

// CountCall counts one call of a host function against the limit of the records at hand.
func (h *Host) CountCall() { h.guest.countHostCall() }

// detect finds the one dialect that a module speaks, or the one that is asked for; nil is sp1.
func (rt *Runtime) detect(m *meter.Module, asked string) (Dialect, error) {
	var found []Dialect
	var names []string
	note := func(d Dialect, name string, speaks bool) {
		if asked == name || asked == "" && speaks {
			found, names = append(found, d), append(names, name)
		}
	}
	_, marked := m.Exported(abi.Marker)
	note(nil, sp1, marked)
	for _, d := range rt.dialects {
		note(d, d.Name(), d.Speaks(m))
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%w: it could be for %s; say which with abi", ErrContract, strings.Join(names, " or "))
	case asked != "":
		return nil, fmt.Errorf("the ABI %q is not known; there are %s", asked, strings.Join(rt.abis(), ", "))
	}
	return nil, nil //nolint:nilnil // whatever cannot be told is held against sp1, whose check says what is missing
}

// sp1 is the name of our own ABI.
const sp1 = "sp1"

func (rt *Runtime) abis() []string {
	names := []string{sp1}
	for _, d := range rt.dialects {
		names = append(names, d.Name())
	}
	return names
}

// checkDialect compares a module with the dialect it is said to speak.
func (rt *Runtime) checkDialect(d Dialect, m *meter.Module) error {
	if err := d.Check(m); err != nil {
		return err
	}
	known := append(wasiFunctions[:len(wasiFunctions):len(wasiFunctions)], foreign(d)...)
	if err := checkBorder(m, known); err != nil {
		return fmt.Errorf("as a module for %s: %w", d.Name(), err)
	}
	return nil
}

// CheckExport says what is wrong with a function that a module exports: that it has other types, which are written as in a
// HostFunction, or that it is wanted and not there.
func CheckExport(m *meter.Module, name, types string, wanted bool) error {
	t, ok := m.Exported(name)
	switch want := sig(types); {
	case !ok && wanted:
		return fmt.Errorf("this module does not export %s", name)
	case ok && !signatureOf(t).equal(want):
		return fmt.Errorf("the export %s is %s, it must be %s", name, signatureOf(t), want)
	}
	return nil
}

// foreign are the functions of a dialect as host functions of ours.
func foreign(d Dialect) []hostFunction {
	var out []hostFunction
	for _, f := range d.Functions() {
		out = append(out, hostFunction{f.Module, f.Name, sig(f.Types), func(g *Guest, m api.Module, stack []uint64) {
			g.enter()
			f.Call(g.session, m, stack)
		}})
	}
	return out
}
