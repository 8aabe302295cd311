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
	return read(root.FS(), filepath.Base(file))
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
