package py

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/streamproc/streamproc/runtime/script"
)

// Read reads a script, and of the files beside it those that it may import. Nothing outside the script's folder is read,
// whatever it imports or links to.
func Read(file string) (*Script, error) { return script.Within(file, read) }

func read(folder fs.FS, name string) (*Script, error) {
	if filepath.Ext(name) != ".py" {
		return nil, fmt.Errorf("%w: %s is no .py file", script.ErrSource, name)
	}
	s, digests := &Script{name: name}, script.Digests{}
	for wanted := []string{name}; len(wanted) > 0; wanted = wanted[1:] {
		file := wanted[0]
		if slices.ContainsFunc(s.modules, func(m module) bool { return m.File == file }) {
			continue
		}
		text, err := source(folder, file)
		if errors.Is(err, fs.ErrNotExist) && file != name {
			continue // a module of the engine's own library, or one that is missing, as the engine will say
		}
		if err != nil {
			return nil, fmt.Errorf("%w: reading %s: %w", script.ErrSource, file, err)
		}
		if len(s.modules) == script.MaxFiles {
			return nil, fmt.Errorf("%w: it imports more than the limit of %d files", script.ErrSource, script.MaxFiles)
		}
		s.modules, digests[file] = append(s.modules, module{strings.TrimSuffix(file, ".py"), file, text}), sha256.Sum256([]byte(text))
		wanted = append(wanted, imports(text)...)
	}
	s.digest = digests.Sum()
	return s, nil
}

func source(folder fs.FS, name string) (string, error) {
	b, err := script.ReadFile(folder, name)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("it is not UTF-8")
	}
	return string(b), err
}

// importing finds what may be an import, in text too: a file that is read and not imported does no harm.
var importing = regexp.MustCompile(`(?m)(?:^|[;:])[ \t]*(?:from[ \t]+([A-Za-z_]\w*)[ \t]+import\b|import[ \t]+([^\n;#]+))`)

// imports lists the files that a text may import, if they stand beside it.
func imports(text string) (files []string) {
	for _, m := range importing.FindAllStringSubmatch(text, -1) {
		for one := range strings.SplitSeq(m[1]+m[2], ",") {
			if words := strings.Fields(one); len(words) > 0 && !strings.ContainsAny(words[0], `./\`) {
				files = append(files, words[0]+".py")
			}
		}
	}
	return files
}
