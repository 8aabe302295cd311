package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// instance is a module that runs, with the functions that we call.
type instance struct {
	module               api.Module
	alloc, call, closing api.Function
	budget               budget
	mask                 uint32      // columns that the guest wants
	fields               *fields.Set // of values that it wants; nil: none

	began   uint32 // bytes of its memory when it had started
	settled uint32 // and after its first batch; 0 before that
	records int    // that it was given
	full    bool   // it has grown to near its limit, and another is to take its place
	lacks   bool   // it was reset, and has no use of what its memory had grown
}

func joinErrors(errs ...error) error { return errors.Join(errs...) }

// context returns ctx with the guest in it, for the host functions. It is kept while ctx stays the same.
func (g *Guest) context(ctx context.Context) context.Context {
	if g.ctx == nil || g.ctx.(*guestContext).Context != ctx {
		g.ctx = &guestContext{ctx, g}
	}
	return g.ctx
}

type guestContext struct {
	context.Context
	guest *Guest
}

// Value finds the guest without a walk up the contexts.
func (c *guestContext) Value(key any) any {
	if _, ok := key.(guestKey); ok {
		return c.guest
	}
	return c.Context.Value(key)
}

// start makes a fresh instance: instantiate, initialise, configure.
func (g *Guest) start(ctx context.Context) error {
	g.begin(0)
	ctx = g.context(ctx)
	m, err := g.instantiate(ctx)
	if err != nil {
		return err
	}
	g.session, g.keptLife, g.words = nil, 0, g.words[:0]
	err = g.greet(ctx, m)
	g.endLines()
	if err != nil {
		return joinErrors(fmt.Errorf("starting plugin %s: %w", g.plugin.name, told{err}), g.instance.module.Close(ctx))
	}
	g.fresh, g.instance.began = true, m.Memory().Size()
	g.tellFuel() // of the start, which is no measure of what a record costs
	g.noteMemory(m.Memory())
	return nil
}

// instantiate makes an instance, of which nothing has run yet.
func (g *Guest) instantiate(ctx context.Context) (api.Module, error) {
	g.seed, g.clock = g.plugin.seed, g.plugin.seed
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(reserve))
	m, err := g.plugin.rt.engine.InstantiateModule(ctx, g.plugin.module.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("starting plugin %s: %w", g.plugin.name, err)
	}
	g.instance = instance{module: m, budget: budgetOf(m)}
	return m, nil
}

// greet runs the start of a new instance, in the ABI of the plugin. Each phase has its own fuel.
func (g *Guest) greet(ctx context.Context, m api.Module) error {
	if err := g.phase(ctx, meter.StartExport, "the start function"); err != nil {
		return err
	}
	if g.plugin.dialect == nil {
		return g.initialise(ctx, m)
	}
	session, err := g.plugin.dialect.Open(&Host{Module: m, guest: g})
	if err != nil {
		return err
	}
	g.session = session
	g.refillForStart()
	if err := session.Start(ctx); err != nil {
		return joinErrors(g.startError("the start", err), session.Close(ctx))
	}
	return nil
}

// refillForStart is for each phase of the start, and for the end.
func (g *Guest) refillForStart() {
	fuel := int64(startFuel)
	if s, ok := g.plugin.dialect.(SlowStarter); ok {
		fuel = s.StartFuel()
	}
	g.instance.budget.refill(fuel, g.plugin.limits.Depth)
}

// phase calls an export without parameters and results, if there is one.
func (g *Guest) phase(ctx context.Context, export, what string) error {
	f := g.instance.module.ExportedFunction(export)
	if f == nil {
		return nil
	}
	g.refillForStart()
	_, err := f.Call(ctx)
	if errors.Is(err, errExit) {
		return fmt.Errorf("%s called proc_exit: build it as a reactor, not as a command", what)
	}
	if err != nil {
		return g.startError(what, err)
	}
	return nil
}

func (g *Guest) initialise(ctx context.Context, m api.Module) error {
	for _, name := range []string{"_initialize", "__wasm_call_ctors", "_start"} {
		if m.ExportedFunction(name) == nil {
			continue
		}
		if err := g.phase(ctx, name, name); err != nil {
			return err
		}
		break
	}
	i := &g.instance
	i.alloc, i.call, i.closing = m.ExportedFunction("sp_alloc"), m.ExportedFunction(string(g.plugin.form)), m.ExportedFunction("sp_close")
	i.mask = abi.AllColumns
	g.refillForStart()
	if err := g.configure(ctx, m); err != nil {
		return err
	}
	if f := m.ExportedFunction("sp_needs"); f != nil {
		r, err := f.Call(ctx)
		if err != nil {
			return g.startError("sp_needs", err)
		}
		i.mask = uint32(r[0]) & abi.AllColumns
	}
	return g.askFields(ctx, m)
}

// configure calls sp_init, if there is one.
func (g *Guest) configure(ctx context.Context, m api.Module) error {
	f := m.ExportedFunction("sp_init")
	if f == nil {
		return nil
	}
	config := g.plugin.config
	view, ptr, err := g.arena(ctx, len(config))
	if err != nil {
		return fmt.Errorf("handing over the configuration: %w", err)
	}
	copy(view, config)
	r, err := f.Call(ctx, uint64(ptr), uint64(len(config)))
	if err != nil {
		return g.startError("sp_init", err)
	}
	if code := int32(uint32(r[0])); code != 0 {
		return &refusal{code, g.reasons[-1]}
	}
	return nil
}

// refusal is an sp_init that does not answer 0.
type refusal struct {
	code  int32
	words string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("sp_init refused the configuration with %d: %s", r.code, cmp.Or(r.words, noReason))
}

// Refused says whether a guest did not start because its sp_init refuses the configuration, and with which words.
func Refused(err error) (words string, ok bool) {
	var r *refusal
	if errors.As(err, &r) {
		return r.words, true
	}
	return "", false
}

// errRefused is sp_alloc returning 0.
var errRefused = errors.New("sp_alloc returned 0")

// arena asks the guest for n bytes, and returns a view of them that is good until the guest's next call.
func (g *Guest) arena(ctx context.Context, n int) ([]byte, uint32, error) {
	g.stack[0] = uint64(n)
	if err := g.instance.alloc.CallWithStack(ctx, g.stack[:]); err != nil {
		return nil, 0, err
	}
	ptr := uint32(g.stack[0])
	if ptr == 0 {
		return nil, 0, fmt.Errorf("%w for %d bytes", errRefused, n)
	}
	view, ok := g.instance.module.Memory().Read(ptr, uint32(n))
	if !ok {
		return nil, 0, &breach{fmt.Sprintf("sp_alloc(%d) returned %d, which is beyond the memory of %d bytes",
			n, ptr, g.instance.module.Memory().Size())}
	}
	return view, ptr, nil
}

// breach is a guest that does not keep to the ABI.
type breach struct{ message string }

func (b *breach) Error() string { return b.message }

func (g *Guest) reasonFor(index int32) string {
	if s, ok := g.reasons[index]; ok {
		return s
	}
	return noReason
}

const noReason = "the plugin gave no reason"
