// Package runtime runs plugins: it checks that WebAssembly modules keep to ABI sp1, has them metered and compiled, and
// calls them with batches of records. It is the only package that knows wazero.
//
// A Runtime belongs to the process, a Plugin to a pipeline's step, and a Guest, one instance of a plugin, to one worker.
package runtime

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Options are the settings of a Runtime. The zero value keeps compiled code in memory only, compiles in this process, and
// logs to slog.Default.
type Options struct {
	CacheDir string   // where compiled code is kept between runs; made with mode 0700, refused if others may reach it
	Compiler []string // a command that calls CompileModule, for a child process that can be killed; none: compile here
	Logger   *slog.Logger
	Dialects []Dialect // the ABIs that guests may speak beside sp1
}

// Runtime compiles modules, each once. It is safe for concurrent use.
type Runtime struct {
	log      *slog.Logger
	dialects []Dialect
	cache    *codeCache
	compiler []string
	engine   wazero.Runtime

	mu      sync.Mutex // held while compiling: one compilation at a time bounds its memory
	modules map[digest]*module
}

// digest names a module by its metered bytes.
type digest [sha256.Size]byte

// module is a compiled module and the number of plugins and guests that use it.
type module struct {
	key      digest
	compiled wazero.CompiledModule
	uses     int
}

// New returns a Runtime. It starts no goroutine.
func New(ctx context.Context, o Options) (*Runtime, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	rt := &Runtime{log: o.Logger, dialects: o.Dialects, compiler: o.Compiler, modules: map[digest]*module{}}
	var err error
	if rt.cache, err = openCache(o.CacheDir, len(o.Compiler) > 0); err != nil {
		return nil, err
	}
	rt.engine = newEngine(ctx, rt.cache)
	if err := rt.installHost(ctx, rt.engine); err != nil {
		return nil, errors.Join(err, rt.Close(ctx))
	}
	return rt, nil
}

// newEngine returns an engine whose compiled code goes into the cache. A module's own limits bound its memory: Metered
// has written them into it. Cancelling a context does not end a call: that would make the guest leave its code at every
// loop, and what a call may use is bounded by its fuel.
func newEngine(ctx context.Context, c *codeCache) wazero.Runtime {
	return wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCompilationCache(c.cache).
		WithMemoryLimitPages(maxMemory/pageBytes))
}

// compile returns the module of these metered bytes, compiled now if nobody uses it yet.
func (rt *Runtime) compile(ctx context.Context, wasm []byte, large bool) (*module, error) {
	key := digest(sha256.Sum256(wasm))
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if m, ok := rt.modules[key]; ok {
		m.uses++
		return m, nil
	}
	if len(rt.compiler) > 0 && !rt.cache.has(key) {
		if err := rt.compileInChild(ctx, wasm, limitsFor(large)); err != nil {
			return nil, err
		}
		if err := rt.cache.note(key); err != nil {
			return nil, err
		}
	}
	c, err := rt.engine.CompileModule(ctx, wasm)
	if err != nil {
		return nil, fmt.Errorf("the engine refuses the module: %w", err)
	}
	m := &module{key: key, compiled: c, uses: 1}
	rt.modules[key] = m
	return m, nil
}

// retain holds on to a module, unless nobody does any more.
func (rt *Runtime) retain(m *module) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if m.uses == 0 {
		return false
	}
	m.uses++
	return true
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
	return errors.Join(rt.engine.Close(ctx), rt.cache.close(ctx))
}
