package artifact

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// The media types of what a plugin is in a registry.
const (
	artifactType  = "application/vnd.streamproc.plugin.v1"
	moduleType    = "application/wasm"
	signatureType = "application/vnd.streamproc.plugin.signature.v1+minisign"

	maxManifestBytes  = 1 << 20
	maxModuleBytes    = 64 << 20
	maxSignatureBytes = 4 << 10
)

// Plugin is a module with its signature, if it has one.
type Plugin struct {
	Module    []byte
	Signature []byte // nil: none
}

// ErrNoDigest says that a reference names a tag alone, which may be something else tomorrow.
var ErrNoDigest = errors.New("a plugin is named by its digest, HOST/NAME@sha256:…, which streamproc plugin resolve prints")

// ErrAway says that a registry does not answer, or says that it cannot now: what was asked for may well be there.
var ErrAway = errors.New("the registry is away")

// asked marks an error as ErrAway where it is one.
func asked(err error) error {
	var said *errcode.ErrorResponse
	var untrusted *tls.CertificateVerificationError
	var trouble net.Error
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("the registry has no such tag or digest: %w", errdef.ErrNotFound)
	case errors.Is(err, context.Canceled) || errors.As(err, &untrusted):
		return err
	case errors.As(err, &said):
		if said.StatusCode < http.StatusInternalServerError && said.StatusCode != http.StatusTooManyRequests {
			return err
		}
	case !errors.As(err, &trouble):
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// repository is where a reference points. Registries on this machine are spoken to without TLS.
func repository(reference string) (*remote.Repository, registry.Reference, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, ref, fmt.Errorf("reading %q: write HOST/NAME:TAG or HOST/NAME@sha256:…: %w", reference, err)
	}
	repo, err := remote.NewRepository(ref.Registry + "/" + ref.Repository)
	if err != nil {
		return nil, ref, fmt.Errorf("reading %q: %w", reference, err)
	}
	repo.PlainHTTP = local(ref.Registry)
	if store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{}); err == nil { // where there is none, nobody has logged in
		repo.Client = &auth.Client{Client: auth.DefaultClient.Client, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	}
	return repo, ref, nil
}

func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Push sends a plugin to a registry under HOST/NAME:TAG, and returns the reference by digest, which is the one to name in a
// pipeline. It honours ctx.
func Push(ctx context.Context, reference string, p Plugin) (string, error) {
	repo, ref, err := repository(reference)
	if err != nil {
		return "", err
	}
	if ref.ValidateReferenceAsTag() != nil {
		return "", fmt.Errorf("pushing to %q: name a tag: HOST/NAME:TAG", reference)
	}
	layers := []ocispec.Descriptor{}
	for _, l := range []struct {
		kind string
		data []byte
	}{{moduleType, p.Module}, {signatureType, p.Signature}} {
		if l.data == nil {
			continue
		}
		d, err := oras.PushBytes(ctx, repo, l.kind, l.data)
		if err != nil {
			return "", fmt.Errorf("pushing to %s: %w", reference, asked(err))
		}
		layers = append(layers, d)
	}
	manifest, err := pack(ctx, repo, layers)
	if err != nil {
		return "", fmt.Errorf("pushing to %s: %w", reference, asked(err))
	}
	d, err := oras.TagBytes(ctx, repo, ocispec.MediaTypeImageManifest, manifest, ref.Reference)
	if err != nil {
		return "", fmt.Errorf("pushing to %s: %w", reference, asked(err))
	}
	return fmt.Sprintf("%s/%s@%s", ref.Registry, ref.Repository, d.Digest), nil
}

// Resolve returns the reference by digest of what a tag names now. It honours ctx.
func Resolve(ctx context.Context, reference string) (string, error) {
	repo, ref, err := repository(reference)
	if err != nil {
		return "", err
	}
	if ref.Reference == "" {
		return "", fmt.Errorf("resolving %q: name a tag: HOST/NAME:TAG", reference)
	}
	d, err := repo.Resolve(ctx, ref.Reference)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", reference, asked(err))
	}
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return "", fmt.Errorf("resolving %s: it is a %s, and no plugin", reference, d.MediaType)
	}
	return fmt.Sprintf("%s/%s@%s", ref.Registry, ref.Repository, d.Digest), nil
}

// pack makes the manifest. It holds no time, so that the same plugin has the same digest everywhere.
func pack(ctx context.Context, to content.Pusher, layers []ocispec.Descriptor) ([]byte, error) {
	config := ocispec.DescriptorEmptyJSON
	if _, err := oras.PushBytes(ctx, to, config.MediaType, config.Data); err != nil {
		return nil, err
	}
	return json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: config, Layers: layers})
}

// Pull fetches a plugin by its digest. All that is returned was compared with it. With a cache, a folder of our own, what
// was pulled once is not asked for again, so that a registry may be away. It honours ctx.
func Pull(ctx context.Context, reference, cache string) (Plugin, error) {
	repo, ref, err := repository(reference)
	if err != nil {
		return Plugin{}, err
	}
	if ref.ValidateReferenceAsDigest() != nil {
		return Plugin{}, fmt.Errorf("pulling %s: %w", reference, ErrNoDigest)
	}
	var from oras.ReadOnlyTarget = repo
	if cache != "" {
		if from, err = cached(ctx, repo, ref, cache); err != nil {
			return Plugin{}, fmt.Errorf("pulling %s: %w", reference, asked(err))
		}
	}
	p, err := pull(ctx, from, ref)
	if err != nil {
		return Plugin{}, fmt.Errorf("pulling %s: %w", reference, asked(err))
	}
	return p, nil
}

// cached makes sure that a folder has what a reference names, and returns the folder.
func cached(ctx context.Context, repo *remote.Repository, ref registry.Reference, dir string) (oras.ReadOnlyTarget, error) {
	store, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	if _, err := store.Resolve(ctx, ref.Reference); err == nil {
		return store, nil
	}
	d, err := repo.Resolve(ctx, ref.Reference)
	if err != nil {
		return nil, err
	}
	if err := oras.CopyGraph(ctx, repo, store, d, oras.DefaultCopyGraphOptions); err != nil {
		return nil, err
	}
	return store, nil
}

func pull(ctx context.Context, from oras.ReadOnlyTarget, ref registry.Reference) (p Plugin, err error) {
	d, err := from.Resolve(ctx, ref.Reference)
	if err != nil {
		return p, err
	}
	text, err := fetch(ctx, from, d, maxManifestBytes)
	if err != nil {
		return p, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return p, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	for _, l := range m.Layers {
		switch l.MediaType {
		case moduleType:
			p.Module, err = fetch(ctx, from, l, maxModuleBytes)
		case signatureType:
			p.Signature, err = fetch(ctx, from, l, maxSignatureBytes)
		}
		if err != nil {
			return p, err
		}
	}
	if p.Module == nil {
		return p, errors.New("there is no plugin in it")
	}
	return p, nil
}

// fetch reads what a descriptor describes, and compares it with that.
func fetch(ctx context.Context, from content.Fetcher, d ocispec.Descriptor, most int64) ([]byte, error) {
	if d.Size > most {
		return nil, fmt.Errorf("%s of %d bytes is over the limit of %d", d.MediaType, d.Size, most)
	}
	r, err := from.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := content.ReadAll(io.LimitReader(r, most+1), d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.MediaType, err)
	}
	return data, nil
}
