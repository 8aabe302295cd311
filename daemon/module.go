package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/config"
)

// ErrAway says that something that a configuration names could not be asked for: the configuration may be right.
var ErrAway = artifact.ErrAway

// module reads a module from its file or registry, and has its signature checked where one is asked for.
func (b *builder) module(ctx context.Context, p *config.Plugin) ([]byte, error) {
	m, err := b.fetch(ctx, p)
	if err != nil || p.Signer == "" {
		return m.Module, err
	}
	if m.Signature == nil {
		return nil, unsigned(p)
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
	if m.Module, err = artifact.Read(p.Wasm); err != nil || p.Signer == "" {
		return m, err
	}
	m.Signature, err = artifact.ReadSignature(p.Wasm)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	return m, err
}

// unsigned says what a module lacks that the configuration wants signed, and who can mend it.
func unsigned(p *config.Plugin) error {
	if p.OCI != "" {
		return fmt.Errorf("it is not signed, and the configuration wants a signature of %s: name a module that was pushed with its signature, or leave signature out", p.Signer)
	}
	return fmt.Errorf("it is not signed, and the configuration wants a signature of %s: there is no %s, which streamproc plugin sign %s makes; or leave signature out",
		p.Signer, artifact.SignatureOf(p.Wasm), p.Wasm)
}
