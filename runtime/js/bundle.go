package js

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/go-sourcemap/sourcemap"
	"github.com/streamproc/streamproc/runtime/script"
)

// bundleName is what the engine calls the program that esbuild makes of a script and its neighbours.
const bundleName = "script.js"

var loaders = map[string]api.Loader{
	".js": api.LoaderJS, ".mjs": api.LoaderJS, ".cjs": api.LoaderJS,
	".ts": api.LoaderTS, ".mts": api.LoaderTS, ".cts": api.LoaderTS,
	".json": api.LoaderJSON, ".txt": api.LoaderText,
}

// Compile reads a script and the neighbour files it imports, and takes the types off. Nothing outside the script's
// folder is read, whatever it imports or links to. An error names file, line and column.
func Compile(file string) (*Script, error) { return script.Within(file, compile) }

func compile(folder fs.FS, name string) (*Script, error) {
	s := &Script{name: name}
	if loaders[path.Ext(name)] == api.LoaderNone || path.Ext(name) == ".json" || path.Ext(name) == ".txt" {
		return nil, fmt.Errorf("%w: %s is no .ts, .mts, .cts, .js, .mjs or .cjs file", script.ErrSource, name)
	}
	files := &reader{folder: folder, digests: script.Digests{}}
	out := api.Build(api.BuildOptions{
		EntryPoints: []string{name}, Bundle: true, Outfile: bundleName, AbsWorkingDir: string(filepath.Separator),
		Format: api.FormatIIFE, GlobalName: "plugin", Target: api.ES2023, Platform: api.PlatformNeutral, Charset: api.CharsetUTF8,
		Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude,
		TsconfigRaw: "{}", LogLevel: api.LogLevelSilent, Plugins: []api.Plugin{files.plugin()},
	})
	if len(out.Errors) > 0 {
		return nil, sourceErrors(out.Errors)
	}
	for _, f := range out.OutputFiles {
		if !strings.HasSuffix(f.Path, ".map") {
			s.program = string(f.Contents)
			continue
		}
		if strings.Contains(string(f.Contents), `"mappings": ""`) {
			continue // nothing is left of the script: it has no places either
		}
		var err error
		if s.positions, err = sourcemap.Parse("", f.Contents); err != nil {
			return nil, fmt.Errorf("reading the source map of %s: %w", name, err)
		}
	}
	s.digest = files.digests.Sum()
	return s, nil
}

// sourceErrors says where in the author's files the first few of the errors are.
func sourceErrors(list []api.Message) error {
	const shown = 5
	var lines []string
	for _, m := range list[:min(len(list), shown)] {
		line := m.Text
		if l := m.Location; l != nil {
			line = fmt.Sprintf("%s:%d:%d: %s", strings.TrimPrefix(l.File, namespace+":"), l.Line, l.Column+1, m.Text)
			if l.LineText != "" {
				line += fmt.Sprintf("\n%6d | %s\n       | %s^", l.Line, l.LineText, strings.Repeat(" ", min(l.Column, len(l.LineText))))
			}
		}
		lines = append(lines, line)
	}
	if n := len(list) - shown; n > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", n))
	}
	return fmt.Errorf("%w: %s", script.ErrSource, strings.Join(lines, "\n"))
}

// namespace keeps esbuild from looking for files by itself.
const namespace = "script"

// reader gives esbuild the files of one folder. esbuild loads several at a time.
type reader struct {
	folder fs.FS

	mu      sync.Mutex
	digests script.Digests
}

func (r *reader) plugin() api.Plugin {
	return api.Plugin{Name: namespace, Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, r.resolve)
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: namespace}, r.load)
	}}
}

func (r *reader) resolve(a api.OnResolveArgs) (api.OnResolveResult, error) {
	if a.Kind == api.ResolveEntryPoint {
		return api.OnResolveResult{Path: a.Path, Namespace: namespace}, nil
	}
	if !strings.HasPrefix(a.Path, "./") && !strings.HasPrefix(a.Path, "../") {
		return api.OnResolveResult{}, fmt.Errorf("a script imports files of its own folder only, such as \"./%s\"", path.Base(a.Path))
	}
	wanted := path.Join(path.Dir(a.Importer), a.Path)
	for _, name := range candidates(wanted) {
		if st, err := fs.Stat(r.folder, name); err == nil && st.Mode().IsRegular() {
			return api.OnResolveResult{Path: name, Namespace: namespace}, nil
		}
	}
	return api.OnResolveResult{}, fmt.Errorf("there is no %s in the folder of the script; it cannot import from outside of it", wanted)
}

// candidates are the files that an import may mean: as written, with an extension, or the .ts that is imported as .js.
func candidates(name string) []string {
	list := []string{name, name + ".ts", name + ".js", name + "/index.ts", name + "/index.js"}
	if base, ok := strings.CutSuffix(name, ".js"); ok {
		list = append(list, base+".ts")
	}
	return list
}

func (r *reader) load(a api.OnLoadArgs) (api.OnLoadResult, error) {
	loader, ok := loaders[path.Ext(a.Path)]
	if !ok {
		return api.OnLoadResult{}, fmt.Errorf("files ending in %q cannot be imported", path.Ext(a.Path))
	}
	content, err := script.ReadFile(r.folder, a.Path)
	if err != nil {
		return api.OnLoadResult{}, err
	}
	text := string(content)
	return api.OnLoadResult{Contents: &text, Loader: loader}, r.note(a.Path, content)
}

// note keeps the digest of a file that the script is made of.
func (r *reader) note(name string, content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digests[name] = sha256.Sum256(content)
	if len(r.digests) > script.MaxFiles {
		return fmt.Errorf("the script imports more than the limit of %d files", script.MaxFiles)
	}
	return nil
}
