package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The WebAssembly specification's own tests, as the engine carries them, run on both sides: as they are, and metered.

// specDir asks the go tool where the engine's module lies.
func specDir(t testing.TB) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero")
	list.Stderr = os.Stderr
	dir, err := list.Output()
	if err != nil {
		t.Fatalf("finding the engine's tests: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest")
}

// specCaps let the specification's tests through; every other cap is the default.
func specCaps() Caps {
	c := Default()
	c.Tables, c.TableEntries, c.MemoryPages = 100, 10_000_000, 65536
	c.Imports, c.Exports, c.Params, c.Targets = 1000, 1000, 100, 100_000
	return c
}

type specCommand struct {
	Type     string
	Line     int
	Name, As string
	Filename string
	Text     string
	Module   string `json:"module_type"`
	Action   struct {
		Type   string
		Module string
		Field  string
		Args   []specValue
	}
}

type specValue struct {
	Type  string
	Lane  string `json:"lane_type"`
	Value any
}

// side is one engine and its modules: plain or metered.
type side struct {
	t       *testing.T
	metered bool
	engine  wazero.Runtime
	named   map[string]api.Module
	last    api.Module
}

func newSide(t *testing.T, metered bool, spectest []byte) *side {
	s := &side{t: t, metered: metered, engine: wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigCompiler()), named: map[string]api.Module{}}
	t.Cleanup(func() { s.engine.Close(context.Background()) })
	if err := s.instantiate(spectest, "spectest", ""); err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	specFuel  = 1 << 40
	specDepth = 2000
)

func refill(m api.Module) {
	m.ExportedGlobal(FuelExport).(api.MutableGlobal).Set(specFuel)
	m.ExportedGlobal(DepthExport).(api.MutableGlobal).Set(specDepth)
}

func (s *side) instantiate(wasm []byte, as, name string) error {
	if s.metered {
		m, err := Read(wasm, specCaps())
		if err != nil {
			return err
		}
		wasm = m.Metered()
	}
	mod, err := s.engine.InstantiateWithConfig(s.t.Context(), wasm, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err == nil && s.metered {
		refill(mod)
		if start := mod.ExportedFunction(StartExport); start != nil {
			_, err = start.Call(s.t.Context())
		}
	}
	if err == nil {
		s.last = mod
	}
	if name != "" {
		s.named[name] = mod
	}
	return err
}

// do performs an action, and writes what came of it.
func (s *side) do(c *specCommand) string {
	mod := s.last
	if c.Action.Module != "" {
		mod = s.named[c.Action.Module]
	}
	if mod == nil {
		return "no module"
	}
	if c.Action.Type == "get" {
		return fmt.Sprint(mod.ExportedGlobal(c.Action.Field).Get())
	}
	f := mod.ExportedFunction(c.Action.Field)
	if f == nil {
		return "no function"
	}
	if s.metered {
		refill(mod)
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	results, err := f.Call(s.t.Context(), args...)
	if err != nil {
		return strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return fmt.Sprintf("%x", results)
}

func (v specValue) words() []uint64 {
	if v.Type != "v128" {
		return []uint64{number(v.Value, v.Type)}
	}
	lanes := v.Value.([]any)
	var out [2]uint64
	width := 128 / len(lanes)
	for i, l := range lanes {
		n := number(l, "lane"+strconv.Itoa(width)) & (1<<min(width, 63)*2 - 1)
		out[i*width/64] |= n << (i * width % 64)
	}
	return out[:]
}

func number(v any, kind string) uint64 {
	text, _ := v.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		signed, _ := strconv.ParseInt(text, 10, 64)
		n = uint64(signed)
		if strings.HasSuffix(kind, "32") {
			n = uint64(uint32(n))
		}
	}
	if kind == "externref" && text != "null" {
		n++
	}
	return n
}

func TestTheSpecificationsTestsGiveEqualResults(t *testing.T) {
	t.Parallel()
	dir := specDir(t)
	spectest, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"v1", "v2"} {
		files, err := filepath.Glob(filepath.Join(dir, version, "testdata", "*.json"))
		if err != nil || len(files) < 70 {
			t.Fatalf("%d files in %s: %v", len(files), version, err)
		}
		for _, f := range files {
			t.Run(version+"/"+strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) { compareSpec(t, f, spectest) })
		}
	}
}

func compareSpec(t *testing.T, file string, spectest []byte) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Commands []specCommand }
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	plain, metered := newSide(t, false, spectest), newSide(t, true, spectest)
	refused, capped := false, false // the module at hand, and any before
	for i := range spec.Commands {
		c := &spec.Commands[i]
		at := fmt.Sprintf("line %d, %s", c.Line, c.Type)
		var wasm []byte
		if c.Filename != "" && c.Module != "text" {
			if wasm, err = os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename)); err != nil {
				t.Fatal(err)
			}
		}
		switch c.Type {
		case "module":
			as := ""
			if next := i + 1; next < len(spec.Commands) && spec.Commands[next].Type == "register" {
				as = spec.Commands[next].As
			}
			perr := plain.instantiate(wasm, as, c.Name)
			merr := metered.instantiate(wasm, as, c.Name)
			if refused = merr != nil; perr != nil || refused && !capped && !growsTable(merr) {
				t.Fatalf("%s: plain %v, metered %v", at, perr, merr)
			}
			capped = capped || refused
		case "assert_return", "action", "assert_trap":
			if p, m := plain.do(c), metered.do(c); !refused && p != m {
				t.Errorf("%s: plain %s, metered %s", at, p, m)
			}
		case "assert_exhaustion":
			if m := metered.do(c); !refused && m != "wasm error: unreachable" {
				t.Errorf("%s: %s", at, m)
			}
		case "assert_invalid", "assert_malformed", "assert_uninstantiable", "assert_unlinkable":
			if wasm == nil {
				continue
			}
			plainLast, meteredLast := plain.last, metered.last
			perr, merr := plain.instantiate(wasm, "", ""), metered.instantiate(wasm, "", "")
			if (perr == nil) != (merr == nil) {
				t.Errorf("%s: plain %v, metered %v", at, perr, merr)
			}
			plain.last, metered.last = plainLast, meteredLast
		}
	}
}

// growsTable is the one refusal by a cap that these tests run into.
func growsTable(err error) bool {
	return strings.Contains(err.Error(), "table.grow on a table without a maximum")
}
