package tidy

import (
	"cmp"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/streamproc/streamproc/"

// Limits of size. More needs a reason: a comment "//tidy:large because …" on the function.
const (
	maxFileLines     = 500
	maxFunctionLines = 80
	maxDepth         = 5
	largeDirective   = "//tidy:large because "
)

// floors gives every package of the product its floor. A package imports lower floors only.
var floors = map[string]int{
	"stream": 0, "logs": 0, "fields": 0, "runtime/abi": 0, "runtime/meter": 0,
	"artifact": 1, "pipeline": 1, "kafka": 1, "runtime": 1, "runtime/script": 1, "dedup": 1, "reorder": 1, "expr": 1, "redisstate": 1, "memstate": 1,
	"config": 2, "metrics": 2, "runtime/js": 2, "runtime/lua": 2, "runtime/py": 2, "runtime/compat/pull": 0, "runtime/compat/redpanda": 2, "runtime/compat/fluvio": 2, "runtime/compat/command": 2, "runtime/compat/connect": 2, "runtime/compat/extism": 2, "runtime/compat/conduit": 2,
	"daemon": 3, "workshop": 3,
	"admin":          4,
	"cmd/streamproc": 5,
}

// aside are packages beside the floors: tools, tests and examples. The product does not import them, but for those below.
var aside = []string{"bench", "docs", "chaos", "internal", "plugins", "sim"}

// carried are packages from aside that the product does carry, and who may import them.
var carried = map[string][]string{
	"internal/devstack": {"cmd/streamproc", "daemon"},
	"internal/quakes":   {"cmd/streamproc", "daemon"},
	"plugins":           {"workshop"},
	"bench":             {"cmd/streamproc"},
}

// doors gives each outside library the packages by which it enters. Tests may use any.
var doors = map[string][]string{
	"github.com/tetratelabs/wazero":        {"runtime"},
	"aead.dev/minisign":                    {"artifact"},
	"oras.land/oras-go":                    {"artifact"},
	"github.com/opencontainers/image-spec": {"artifact"},
	"google.golang.org/protobuf":           {"runtime/compat/conduit"},
	"github.com/evanw/esbuild":             {"runtime/js"},
	"github.com/go-sourcemap":              {"runtime/js"},
	"github.com/twmb/franz-go":             {"kafka", "bench", "chaos", "internal/devstack", "internal/e2e", "internal/servers", "sim"},
	"github.com/redis/go-redis":            {"redisstate", "sim"},
	"github.com/alicebob/miniredis":        {"internal/devstack", "sim"},
	"cel.dev/cel-go":                       {"expr"},
	"github.com/tidwall/gjson":             {"expr"},
	"gopkg.in/yaml.v3":                     {"config"},
	"github.com/compose-spec":              {"config"},
	"github.com/agnivade/levenshtein":      {"config"},
	"github.com/invopop/jsonschema":        {"config"},
	"github.com/owenrumney/go-sarif":       {"config"},
	"github.com/fsnotify/fsnotify":         {"daemon"},
	"github.com/prometheus/client":         {"metrics"},
	"github.com/spf13/cobra":               {"cmd/streamproc"},
	"github.com/cenkalti/backoff":          {"pipeline"},
	"github.com/rogpeppe/go-internal":      {"workshop"},
	"github.com/KimMachineGun":             {"cmd/streamproc"},
}

type goPackage struct {
	ImportPath, Dir, Doc               string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// packages asks the go tool for all packages of the module. Scratch under bin/ is not part of it.
func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports", module+"...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !under(p.name(), "bin") {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		t.Fatal("go list names no packages")
	}
	return all
}

func under(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func isAside(name string) bool {
	return slices.ContainsFunc(aside, func(root string) bool { return under(name, root) })
}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range packages(t) {
		floor, onFloor := floors[p.name()]
		if !onFloor {
			if !isAside(p.name()) {
				t.Errorf("%s has no floor: give it one in the table of floors", p.name())
			}
			continue
		}
		for _, path := range p.Imports {
			name, ours := strings.CutPrefix(path, module)
			if !ours || slices.Contains(carried[name], p.name()) {
				continue
			}
			below, known := floors[name]
			if !known {
				t.Errorf("%s imports %s, which is no part of the product", p.name(), name)
			} else if below >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d): declare the small interface it needs, and wire it in daemon",
					p.name(), floor, name, below)
			}
		}
	}
}

func TestLibrariesEnterByTheirDoors(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			for library, allowed := range doors {
				if strings.HasPrefix(path, library) && !slices.ContainsFunc(allowed, func(d string) bool { return under(p.name(), d) }) {
					t.Errorf("%s imports %s, whose door is %v: go through that package", p.name(), path, allowed)
				}
			}
		}
	}
}

func TestImportsAreShallow(t *testing.T) {
	imports := make(map[string][]string)
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			if name, ours := strings.CutPrefix(path, module); ours {
				imports[p.name()] = append(imports[p.name()], name)
			}
		}
	}
	var depth func(string) int
	depth = func(name string) int {
		deepest := 0
		for _, i := range imports[name] {
			deepest = max(deepest, 1+depth(i))
		}
		return deepest
	}
	for name := range imports {
		if d := depth(name); d > maxDepth {
			t.Errorf("%s stands on %d imports of ours, one on the other; at most %d: take a floor out", name, d, maxDepth)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment: say in a sentence what it is", p.name())
		}
	}
}

// source is one parsed file.
type source struct {
	path string // within the module
	test bool
	text string
	set  *token.FileSet
	tree *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			s := source{path: p.name() + "/" + name, test: strings.HasSuffix(name, "_test.go"), text: string(raw), set: token.NewFileSet()}
			if s.tree, err = parser.ParseFile(s.set, s.path, raw, parser.ParseComments); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
	}
	return all
}

func TestFilesAndFunctionsArePages(t *testing.T) {
	for _, s := range sources(t) {
		if n := strings.Count(s.text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: look for the second noun", s.path, n, maxFileLines)
		}
		for _, d := range s.tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if n > maxFunctionLines && !excused(f) {
				t.Errorf("%s: %s has %d lines, at most %d: split it, or say why with %q", s.path, f.Name.Name, n, maxFunctionLines, largeDirective)
			}
		}
	}
}

func excused(f *ast.FuncDecl) bool {
	return f.Doc != nil && slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, largeDirective) })
}

func TestGuaranteesNameTestsThatThereAre(t *testing.T) {
	text, err := os.ReadFile("../../docs/GUARANTEES.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error { // also what only a build tag compiles
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return cmp.Or(err, fs.SkipDir)
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		named := 0
		for _, word := range strings.Split(line, "`") {
			if strings.HasPrefix(word, "Test") {
				named++
				if !there[word] {
					t.Errorf("there is no %s, which is to uphold: %.120s", word, line)
				}
			}
		}
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| promise ") && named == 0 {
			t.Errorf("no test upholds: %.120s", line)
		}
	}
}

func TestDecisionsHaveNumbersOfTheirOwn(t *testing.T) {
	notes, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(notes) == 0 {
		t.Fatalf("%d decisions, %v", len(notes), err)
	}
	seen := map[string]string{}
	for _, n := range notes {
		number, _, _ := strings.Cut(filepath.Base(n), "-")
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have one number: take the next", other, n)
		}
		seen[number] = n
	}
}

func TestTestsDoNotSleepNorSkip(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		eachCall(s, func(receiver, name string) {
			if receiver == "time" && name == "Sleep" {
				t.Errorf("%s sleeps: wait for a condition with a deadline, or use synctest", s.path)
			}
			if receiver == "t" && strings.HasPrefix(name, "Skip") {
				t.Errorf("%s skips: a test fails with the command that installs what it needs", s.path)
			}
		})
	}
}

func TestHostFunctionsDoNotReflect(t *testing.T) {
	for _, s := range sources(t) {
		if !under(filepath.Dir(s.path), "runtime") {
			continue
		}
		eachCall(s, func(_, name string) {
			if name == "WithFunc" {
				t.Errorf("%s defines a host function with WithFunc, which reflects at every call: use WithGoModuleFunction", s.path)
			}
		})
	}
}

func eachCall(s source, visit func(receiver, name string)) {
	ast.Inspect(s.tree, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
			receiver, _ := selector.X.(*ast.Ident)
			if receiver == nil {
				visit("", selector.Sel.Name)
			} else {
				visit(receiver.Name, selector.Sel.Name)
			}
		}
		return true
	})
}

// forbidden are words that tie the source to one machine. They are written in halves, since this file is searched too.
var forbidden = []string{"/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/", "proxy.gol" + "ang.org", "registry.np" + "mjs.org", "repo.mav" + "en.apache.org"}

func TestNothingIsTiedToOneMachine(t *testing.T) {
	modules, err := filepath.Glob("../../plugins/examples/*/*.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("%d modules, %v", len(modules), err)
	}
	for _, m := range modules {
		raw, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range forbidden {
			if strings.Contains(string(raw), word) {
				t.Errorf("%s holds %q: build it without the paths of its machine", m, word)
			}
		}
	}
	for _, s := range sources(t) {
		for _, word := range forbidden {
			if strings.Contains(s.text, word) {
				t.Errorf("%s says %q: take the place from the environment", s.path, word)
			}
		}
	}
}
