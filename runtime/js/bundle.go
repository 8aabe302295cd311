package js

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/go-sourcemap/sourcemap"
)

// Limits of a script's source.
const (
	maxFileBytes = 4 << 20
	maxFiles     = 256
)

// bundleName is what the engine calls the program that esbuild makes of a script and its neighbours.
const bundleName = "script.js"

var loaders = map[string]api.Loader{
	".js": api.LoaderJS, ".mjs": api.LoaderJS, ".cjs": api.LoaderJS,
	".ts": api.LoaderTS, ".mts": api.LoaderTS, ".cts": api.LoaderTS,
	".json": api.LoaderJSON, ".txt": api.LoaderText,
}

// ErrSource is what every error about the author's source wraps.
var ErrSource = errors.New("the script cannot be used")

// Compile reads a script and the neighbour files it imports, and takes the types off. Nothing outside the script's
// folder is read, whatever it imports or links to. An error names file, line and column.
func Compile(file string) (*Script, error) {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of script %s: %w", file, err)
	}
	defer root.Close()
	return compile(root.FS(), filepath.Base(file))
}

func compile(folder fs.FS, name string) (*Script, error) {
	s := &Script{name: name}
	if loaders[path.Ext(name)] == api.LoaderNone || path.Ext(name) == ".json" || path.Ext(name) == ".txt" {
		return nil, fmt.Errorf("%w: %s is no .ts, .mts, .cts, .js, .mjs or .cjs file", ErrSource, name)
	}
	files := &reader{folder: folder, digests: map[string][sha256.Size]byte{}}
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
	s.digest = files.sum()
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
	return fmt.Errorf("%w: %s", ErrSource, strings.Join(lines, "\n"))
}

// namespace keeps esbuild from looking for files by itself.
const namespace = "script"

// reader gives esbuild the files of one folder. esbuild loads several at a time.
type reader struct {
	folder fs.FS

	mu      sync.Mutex
	digests map[string][sha256.Size]byte // by name
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
	f, err := r.folder.Open(a.Path)
	if err != nil {
		return api.OnLoadResult{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return api.OnLoadResult{}, err
	}
	if len(content) > maxFileBytes {
		return api.OnLoadResult{}, fmt.Errorf("it is over the limit of %d bytes", maxFileBytes)
	}
	text := string(content)
	return api.OnLoadResult{Contents: &text, Loader: loader}, r.note(a.Path, content)
}

// note keeps the digest of a file that the script is made of.
func (r *reader) note(name string, content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digests[name] = sha256.Sum256(content)
	if len(r.digests) > maxFiles {
		return fmt.Errorf("the script imports more than the limit of %d files", maxFiles)
	}
	return nil
}

// sum is the digest of the script: that of its file or, if it imports others, that of the list that sha256sum prints of
// all of them, in the order of their names.
func (r *reader) sum() string {
	names := slices.Sorted(maps.Keys(r.digests))
	if len(names) == 1 {
		return fmt.Sprintf("%x", r.digests[names[0]])
	}
	list := sha256.New()
	for _, name := range names {
		_, _ = fmt.Fprintf(list, "%x  %s\n", r.digests[name], name)
	}
	return hex.EncodeToString(list.Sum(nil))
}
