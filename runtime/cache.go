package runtime

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
)

// codeCache is where machine code is kept: in memory, or in a folder that outlives the process.
type codeCache struct {
	dir       string // "": in memory
	cache     wazero.CompilationCache
	temporary bool // the folder goes with the process
}

// openCache opens the folder dir; "" is memory, or a folder of its own where a child has to write into it.
func openCache(dir string, child bool) (*codeCache, error) {
	c := &codeCache{dir: dir}
	if dir == "" && !child {
		c.cache = wazero.NewCompilationCache()
		return c, nil
	}
	var err error
	if dir == "" {
		if c.dir, err = os.MkdirTemp("", "streamproc-plugins-"); err != nil {
			return nil, fmt.Errorf("making a place for compiled plugins: %w", err)
		}
		c.temporary = true
	}
	if err := privateDir(c.dir); err != nil {
		return nil, fmt.Errorf("preparing the plugin cache %s: %w", c.dir, err)
	}
	if c.cache, err = wazero.NewCompilationCacheWithDir(c.dir); err != nil {
		return nil, fmt.Errorf("opening the plugin cache %s: %w", c.dir, err)
	}
	return c, nil
}

// privateDir makes dir, and refuses one that others may reach: compiled code in it is run without a signature.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("it is a %v, no folder: %w", st.Mode().Type(), fs.ErrInvalid)
	case st.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %04o, others can reach it: %w", st.Mode().Perm(), fs.ErrPermission)
	case !ours(st):
		return fmt.Errorf("it belongs to another user: %w", fs.ErrPermission)
	}
	return nil
}

// has says whether a module has been compiled into the folder before, by this engine and within the limits.
func (c *codeCache) has(key digest) bool {
	_, err := os.Stat(c.mark(key))
	return err == nil
}

// note remembers that a module has been compiled.
func (c *codeCache) note(key digest) error {
	if err := os.WriteFile(c.mark(key), nil, 0o600); err != nil {
		return fmt.Errorf("noting the compiled module: %w", err)
	}
	return nil
}

func (c *codeCache) mark(key digest) string {
	return filepath.Join(c.dir, "compiled-"+engineVersion()+"-"+hex.EncodeToString(key[:]))
}

// engineVersion is the version of wazero in this binary.
func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return "unknown"
}

func (c *codeCache) close(ctx context.Context) error {
	err := c.cache.Close(ctx)
	if c.temporary {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}
