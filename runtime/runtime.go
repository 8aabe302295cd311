// Package runtime runs plugins: it compiles WebAssembly modules, checks that they keep to ABI sp1, and calls them with
// batches of records. It is the only package that knows wazero.
//
// A Runtime belongs to the process, a Plugin to a pipeline's step, and a Guest, one instance of a plugin, to one worker.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Options are the settings of a Runtime. The zero value keeps compiled code in memory only, and logs to slog.Default.
type Options struct {
	CacheDir string // where compiled code is kept between runs; made with mode 0700, refused if others may write to it
	Logger   *slog.Logger
	Dialects []Dialect // the ABIs that guests may speak beside sp1
}

// Runtime compiles modules, each once. It is safe for concurrent use.
type Runtime struct {
	log      *slog.Logger
	cache    wazero.CompilationCache
	dialects []Dialect

	mu      sync.Mutex // held while compiling: one compilation at a time bounds its memory
	engines map[variant]wazero.Runtime
	modules map[moduleKey]*module
}

// variant is what wazero fixes for a whole engine and we want per plugin.
type variant struct {
	pages    uint32
	deadline bool
}

type moduleKey struct {
	variant
	digest [32]byte
}

// module is a compiled module and the number of plugins and guests that use it.
type module struct {
	key      moduleKey
	engine   wazero.Runtime
	compiled wazero.CompiledModule
	uses     int
}

// New returns a Runtime. It starts no goroutine.
func New(_ context.Context, o Options) (*Runtime, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	rt := &Runtime{
		log:      o.Logger,
		cache:    wazero.NewCompilationCache(),
		dialects: o.Dialects,
		engines:  map[variant]wazero.Runtime{},
		modules:  map[moduleKey]*module{},
	}
	if o.CacheDir == "" {
		return rt, nil
	}
	if err := privateDir(o.CacheDir); err != nil {
		return nil, fmt.Errorf("preparing the plugin cache %s: %w", o.CacheDir, err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("opening the plugin cache %s: %w", o.CacheDir, err)
	}
	rt.cache = cache
	return rt, nil
}

// privateDir makes dir, and refuses one that others may write to: compiled code in it is run without a signature.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("its mode is %04o, others can reach it: %w", st.Mode().Perm(), fs.ErrPermission)
	}
	return nil
}

// engine returns the wazero runtime of a variant, with our host modules in it.
func (rt *Runtime) engine(ctx context.Context, v variant) (wazero.Runtime, error) {
	if e, ok := rt.engines[v]; ok {
		return e, nil
	}
	cfg := wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCompilationCache(rt.cache).
		WithMemoryLimitPages(v.pages).
		WithCloseOnContextDone(v.deadline)
	e := wazero.NewRuntimeWithConfig(ctx, cfg)
	if err := rt.installHost(ctx, e); err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	rt.engines[v] = e
	return e, nil
}

// compile returns the module of these bytes, compiled now if nobody uses it yet.
func (rt *Runtime) compile(ctx context.Context, key moduleKey, wasm []byte) (*module, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if m, ok := rt.modules[key]; ok {
		m.uses++
		return m, nil
	}
	e, err := rt.engine(ctx, key.variant)
	if err != nil {
		return nil, err
	}
	c, err := e.CompileModule(ctx, wasm)
	if err != nil {
		return nil, err
	}
	m := &module{key: key, engine: e, compiled: c, uses: 1}
	rt.modules[key] = m
	return m, nil
}

func (rt *Runtime) retain(m *module) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	m.uses++
}

// release lets go of a module, and of its machine code with the last use.
func (rt *Runtime) release(ctx context.Context, m *module) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if m.uses--; m.uses > 0 {
		return nil
	}
	delete(rt.modules, m.key)
	return m.compiled.Close(ctx)
}

// Close ends every instance. Guests must not be in use.
func (rt *Runtime) Close(ctx context.Context) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	var errs []error
	for _, e := range rt.engines {
		errs = append(errs, e.Close(ctx))
	}
	clear(rt.engines)
	return errors.Join(append(errs, rt.cache.Close(ctx))...)
}
