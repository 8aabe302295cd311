package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/config"
)

// module reads a module from its file or registry, and has its signature checked where one is asked for.
func (b *builder) module(ctx context.Context, p *config.Plugin) ([]byte, error) {
	m, err := b.fetch(ctx, p)
	if err != nil || p.Signer == "" {
		return m.Module, err
	}
	if m.Signature == nil {
		return nil, errors.New("it is not signed, and the configuration wants a signature")
	}
	key, err := artifact.PublicKey(p.Signer)
	if err != nil {
		return nil, err
	}
	s, err := artifact.Verify(key, m.Module, m.Signature)
	if err != nil {
		return nil, err
	}
	b.log.Info("the plugin is signed", "plugin", p.Name, "name", s.Name, "version", s.Version)
	return m.Module, nil
}

func (b *builder) fetch(ctx context.Context, p *config.Plugin) (m artifact.Plugin, err error) {
	if p.OCI != "" {
		cache := ""
		if b.options.CacheDir != "" {
			cache = filepath.Join(b.options.CacheDir, "oci")
		}
		return artifact.Pull(ctx, p.OCI, cache)
	}
	if m.Module, err = os.ReadFile(p.Wasm); err != nil || p.Signer == "" {
		return m, err
	}
	m.Signature, err = os.ReadFile(p.Wasm + ".minisig")
	if err != nil {
		return m, fmt.Errorf("reading its signature: %w", err)
	}
	return m, nil
}
