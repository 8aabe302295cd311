package py

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a script's source.
const (
	maxFileBytes = 4 << 20
	maxFiles     = 256
)

// ErrSource is what every error about the author's source wraps.
var ErrSource = errors.New("the script cannot be used")

// Read reads a script, and of the files beside it those that it may import. Nothing outside the script's folder is read,
// whatever it imports or links to.
func Read(file string) (*Script, error) {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of script %s: %w", file, err)
	}
	defer root.Close()
	return read(root.FS(), filepath.Base(file))
}

func read(folder fs.FS, name string) (*Script, error) {
	if filepath.Ext(name) != ".py" {
		return nil, fmt.Errorf("%w: %s is no .py file", ErrSource, name)
	}
	s := &Script{name: name}
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
			return nil, fmt.Errorf("%w: reading %s: %w", ErrSource, file, err)
		}
		if len(s.modules) == maxFiles {
			return nil, fmt.Errorf("%w: it imports more than the limit of %d files", ErrSource, maxFiles)
		}
		s.modules = append(s.modules, module{strings.TrimSuffix(file, ".py"), file, text})
		wanted = append(wanted, imports(text)...)
	}
	s.digest = s.sum()
	return s, nil
}

func source(folder fs.FS, name string) (string, error) {
	f, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxFileBytes:
		return "", fmt.Errorf("it is over the limit of %d bytes", maxFileBytes)
	case !utf8.Valid(b):
		return "", errors.New("it is not UTF-8")
	}
	return string(b), nil
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

// sum is the digest of the script: that of its file or, if it imports others, that of the list that sha256sum prints of
// all of them, in the order of their names.
func (s *Script) sum() string {
	digest := func(text string) string {
		d := sha256.Sum256([]byte(text))
		return hex.EncodeToString(d[:])
	}
	if len(s.modules) == 1 {
		return digest(s.modules[0].Text)
	}
	sorted := slices.SortedFunc(slices.Values(s.modules), func(a, b module) int { return strings.Compare(a.File, b.File) })
	var list strings.Builder
	for _, m := range sorted {
		fmt.Fprintf(&list, "%s  %s\n", digest(m.Text), m.File)
	}
	return digest(list.String())
}
