package script

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// Limits of a script's source.
const (
	MaxFileBytes = 4 << 20
	MaxFiles     = 256
)

// ErrSource is what every error about the author's source wraps.
var ErrSource = errors.New("the script cannot be used")

// Within reads a script by its file. Nothing outside the script's folder is read, whatever it imports or links to.
func Within[S any](file string, read func(folder fs.FS, name string) (*S, error)) (*S, error) {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of script %s: %w", file, err)
	}
	defer root.Close()
	var missed *fs.PathError
	if _, err := root.Stat(filepath.Base(file)); errors.As(err, &missed) && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrSource, &fs.PathError{Op: "open", Path: file, Err: missed.Err})
	}
	return read(root.FS(), filepath.Base(file))
}

// File is one file of a script.
type File struct{ Name, Text string }

// Read reads a script, which ends in ext, and of the files beside it those that imports finds in what is read: names that are
// no file of the folder are left to the engine. It returns the script first, and the digest of all.
func Read(file, ext string, imports func(text string) []string) (files []File, digest string, err error) {
	all, err := Within(file, func(folder fs.FS, name string) (*[]File, error) { return withNeighbours(folder, name, ext, imports) })
	if err != nil {
		return nil, "", err
	}
	digests := Digests{}
	for _, f := range *all {
		digests[f.Name] = sha256.Sum256([]byte(f.Text))
	}
	return *all, digests.Sum(), nil
}

func withNeighbours(folder fs.FS, name, ext string, imports func(text string) []string) (*[]File, error) {
	if filepath.Ext(name) != ext {
		return nil, fmt.Errorf("%w: %s is no %s file", ErrSource, name, ext)
	}
	var files []File
	for wanted := []string{name}; len(wanted) > 0; wanted = wanted[1:] {
		file := wanted[0]
		if slices.ContainsFunc(files, func(f File) bool { return f.Name == file }) {
			continue
		}
		text, err := ReadFile(folder, file)
		if errors.Is(err, fs.ErrNotExist) && file != name {
			continue
		}
		if err == nil && !utf8.Valid(text) {
			err = errors.New("it is not UTF-8")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: reading %s: %w", ErrSource, file, err)
		}
		if len(files) == MaxFiles {
			return nil, fmt.Errorf("%w: it imports more than the limit of %d files", ErrSource, MaxFiles)
		}
		files = append(files, File{file, string(text)})
		wanted = append(wanted, imports(string(text))...)
	}
	return &files, nil
}

// ReadFile reads one file of a script.
func ReadFile(folder fs.FS, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err == nil && len(b) > MaxFileBytes {
		return nil, fmt.Errorf("it is over the limit of %d bytes", MaxFileBytes)
	}
	return b, err
}

// Digests are the SHA-256 of the files of a script, by their names.
type Digests map[string][sha256.Size]byte

// Sum is the digest of the script: that of its file or, if it imports others, that of the list that sha256sum prints of
// all of them, in the order of their names.
func (d Digests) Sum() string {
	names := slices.Sorted(maps.Keys(d))
	if len(names) == 1 {
		return fmt.Sprintf("%x", d[names[0]])
	}
	list := sha256.New()
	for _, name := range names {
		_, _ = fmt.Fprintf(list, "%x  %s\n", d[name], name)
	}
	return hex.EncodeToString(list.Sum(nil))
}
