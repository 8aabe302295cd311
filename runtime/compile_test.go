package runtime

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
)

const compileVerb = "compile-module"

// TestMain lets the test binary be the child that compiles.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == compileVerb {
		os.Exit(CompileModule(context.Background(), os.Args[2:], os.Stdin, os.Stderr))
	}
	m.Run()
}

func self(t testing.TB) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, compileVerb}
}

func TestAChildCompilesOnceForAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	rt := newRuntime(t, Options{CacheDir: dir, Compiler: self(t)})
	p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor")})
	if err != nil {
		t.Fatal(err)
	}
	b := batch("k")
	process(t, startGuest(t, p, Transform, Events{}), b)
	if got := fates(b); got != "k" {
		t.Error(got)
	}
	// Whoever comes later finds the code, and needs no compiler.
	later := newRuntime(t, Options{CacheDir: dir, Compiler: []string{"/there/is/none"}})
	if _, err := later.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor")}); err != nil {
		t.Error(err)
	}
	if _, err := later.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "mapper")}); err == nil || !strings.Contains(err.Error(), "starting the compiler") {
		t.Errorf("another module: error is %v", err)
	}
	if _, err := later.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor"), Limits: Limits{MemoryBytes: 1 << 20}}); err == nil {
		t.Error("another limit of memory is another module, and was not compiled")
	}
}

func TestAChildWithoutACacheHasAFolderForTheProcess(t *testing.T) {
	rt, err := New(t.Context(), Options{Compiler: self(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor")}); err != nil {
		t.Error(err)
	}
	dir := rt.cache.dir
	if err := rt.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestAModuleThatIsInvalidIsNamedByTheChild(t *testing.T) {
	bad := hostile.Function(0, hostile.Code(hostile.Drop)) // nothing is there to drop
	rt := newRuntime(t, Options{CacheDir: filepath.Join(t.TempDir(), "c"), Compiler: self(t)})
	err := rt.compileInChild(t.Context(), bad, compileLimits{10 * time.Second, 1 << 30})
	if err == nil || !strings.Contains(err.Error(), "the engine refuses the module") || !strings.Contains(err.Error(), "drop") {
		t.Errorf("error is %v", err)
	}
}

func TestACacheThatTakesNothingIsNotTheModulesFault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	rt := newRuntime(t, Options{CacheDir: dir, Compiler: self(t)})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor")})
	if err == nil || !strings.Contains(err.Error(), "the plugin cache "+dir) || !strings.Contains(err.Error(), "XDG_CACHE_HOME") {
		t.Errorf("got %v, want one that names the folder and the remedy", err)
	}
}

// TestACompileBombIsGivenUp compiles a module that no cap would have let through.
func TestACompileBombIsGivenUp(t *testing.T) {
	var bomb []byte
	for _, c := range hostile.Structure() {
		if c.Name == "50,000 ifs in a row" {
			bomb = c.Module
		}
	}
	rt := newRuntime(t, Options{CacheDir: filepath.Join(t.TempDir(), "c"), Compiler: self(t)})
	err := rt.compileInChild(t.Context(), bomb, compileLimits{time.Second, 1 << 30})
	if !errors.Is(err, errCompile) || !strings.Contains(err.Error(), "1s of processor time") {
		t.Errorf("error is %v", err)
	}
	err = rt.compileInChild(t.Context(), bomb, compileLimits{time.Minute, 30 << 20})
	if !errors.Is(err, errCompile) || !strings.Contains(err.Error(), "30 MiB of memory") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rt.compileInChild(ctx, bomb, compileLimits{time.Minute, 1 << 30}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// TestACountOfDataThatLiesIsRefused: how many data segments there are is said twice, and the engine compares.
func TestACountOfDataThatLiesIsRefused(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, n := range []uint64{1, 1 << 28, 1 << 31, 1<<32 - 1} {
		var m hostile.Module
		m.Memory(1, -1)
		for name, kind := range map[string]string{"sp_abi_v1": ":", "sp_alloc": "i:i", "sp_filter": "ii:i"} {
			m.Export(name, m.Func(kind, 0, hostile.Code(hostile.Unreachable)))
		}
		sound := m.Bytes()
		at := len(sound) - len(hostile.Section(10, hostile.Code(3, hostile.Repeat(3, hostile.Code(5, 1, 0, hostile.I32, hostile.Unreachable, hostile.End)))))
		lie := hostile.Code(sound[:at:at], hostile.Section(12, hostile.U(n)), sound[at:])
		if _, err := rt.Load(t.Context(), Source{Name: "p", Bytes: sound}); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rt.Load(t.Context(), Source{Name: "p", Bytes: lie})
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || !strings.Contains(err.Error(), "data count section") || grown > 10<<20 {
			t.Errorf("of %d: error is %v, and %d bytes were allocated", n, err, grown)
		}
	}
}

func TestACacheThatOthersCanReachIsRefused(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o770); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(private, link); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o701, 0o702, 0o704, 0o710, 0o720, 0o740, 0o777, 0o1777} {
		if err := os.Chmod(private, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), Options{CacheDir: private}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("with mode %04o: error is %v", mode, err)
		}
	}
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{open: "its mode is 0770", link: "no folder"} {
		if _, err := New(t.Context(), Options{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", dir, err, want)
		}
	}
	if _, err := New(t.Context(), Options{CacheDir: private}); err != nil {
		t.Error(err)
	}
}

func TestTheLargeStructureWantsADigest(t *testing.T) {
	_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor"), Limits: Limits{Large: true}})
	if !errors.Is(err, errLarge) {
		t.Errorf("error is %v", err)
	}
}

func TestLimitsOutOfRangeAreNamed(t *testing.T) {
	for want, l := range map[string]Limits{
		"memory of 1073741824": {MemoryBytes: 1 << 30}, "fuel of 200000001": {Fuel: 200_000_001}, "depth of 10001": {Depth: 10_001}, "outputs of -1": {Outputs: -1},
	} {
		_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "cursor"), Limits: l})
		if err == nil || !strings.Contains(err.Error(), "the limit "+want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func TestAModuleThatTheLargeStructureLetsPassIsTold(t *testing.T) {
	for ifs, hinted := range map[int]bool{11_000: true, 50_000: false} {
		module := hostile.Function(0, hostile.Repeat(ifs, hostile.Code(hostile.Const(0), hostile.If, hostile.Empty, hostile.End)))
		_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: module})
		if err == nil || strings.Contains(err.Error(), "{ structure: large } lets it pass") != hinted {
			t.Errorf("%d ifs: error is %v", ifs, err)
		}
	}
}

func TestAModuleThatStartsWithMoreMemoryThanTheLimitIsTold(t *testing.T) {
	rt := newRuntime(t, Options{})
	_, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "logs"), Limits: Limits{MemoryBytes: 3 << 16}}) // it has four pages
	if err == nil || !strings.Contains(err.Error(), "it starts with more than the limit memory of 196608 bytes: raise that") {
		t.Errorf("a module of four pages under a limit of three has the error %v", err)
	}
	if _, err := rt.Load(t.Context(), Source{Name: "p", Bytes: wasmOf(t, "logs"), Limits: Limits{MemoryBytes: 4 << 16}}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}
