package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/google/go-containerregistry/pkg/registry"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

func keys(t *testing.T) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := NewKey(file, "secret"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key may be read by others: %v, %v", info.Mode(), err)
	}
	if err := NewKey(file, "other"); err == nil {
		t.Error("a key was overwritten")
	}
	private, err := PrivateKey(file, "secret")
	if err != nil {
		t.Fatal(err)
	}
	public, err := PublicKey(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func TestASignatureIsOfOneModuleNameAndVersion(t *testing.T) {
	public, private := keys(t)
	module := []byte("\x00asm module")
	sig, err := Sign(private, module, Statement{Name: "price", Version: "1.2.0", ABI: "sp1 (sp_map)"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Verify(public, module, sig)
	if err != nil || s.Name != "price" || s.Version != "1.2.0" || s.ABI != "sp1 (sp_map)" || s.SHA256 != Digest(module) {
		t.Errorf("it states %+v, %v", s, err)
	}
	stranger, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() (Statement, error){
		"another module": func() (Statement, error) { return Verify(public, []byte("\x00asm other"), sig) },
		"another key":    func() (Statement, error) { return Verify(stranger, module, sig) },
		"a newer version": func() (Statement, error) {
			return Verify(public, module, []byte(strings.ReplaceAll(string(sig), "1.2.0", "1.3.0")))
		},
		"no signature": func() (Statement, error) { return Verify(public, module, []byte("nothing")) },
		"a signature of something else": func() (Statement, error) {
			return Verify(public, module, minisign.SignWithComments(private, []byte("a letter"), "a letter", ""))
		},
	} {
		if s, err := try(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s passes as %+v, %v", name, s, err)
		}
	}
	for _, bad := range []Statement{{Name: "a b", Version: "1", ABI: "x"}, {Name: "a", Version: "1\n2", ABI: "x"}, {Name: "", Version: "1", ABI: "x"}} {
		if _, err := Sign(private, module, bad); err == nil {
			t.Errorf("%+v is signed", bad)
		}
	}
}

func TestAPluginTravelsByDigest(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	want := Plugin{Module: []byte("\x00asm module"), Signature: []byte("signature")}
	ref, err := Push(t.Context(), host+"/plugins/price:v1", want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Pull(t.Context(), ref, "")
	if err != nil || string(got.Module) != string(want.Module) || string(got.Signature) != string(want.Signature) {
		t.Errorf("%s brings %q and %q, %v", ref, got.Module, got.Signature, err)
	}
	again, err := Push(t.Context(), host+"/plugins/price:v2", want)
	if err != nil || again != ref {
		t.Errorf("the same plugin is %s and %s, %v", ref, again, err)
	}
	if by, err := Resolve(t.Context(), host+"/plugins/price:v1"); err != nil || by != ref {
		t.Errorf("v1 is resolved to %s, %v", by, err)
	}
	if _, err := Resolve(t.Context(), host+"/plugins/price"); err == nil || !strings.Contains(err.Error(), "name a tag") {
		t.Errorf("without a tag: %v", err)
	}
	if _, err := Resolve(t.Context(), host+"/plugins/price:v9"); err == nil || !strings.Contains(err.Error(), "price:v9") {
		t.Errorf("a tag that is not there: %v", err)
	}
	if _, err := Pull(t.Context(), host+"/plugins/price:v1", ""); !errors.Is(err, ErrNoDigest) {
		t.Errorf("a tag alone is pulled: %v", err)
	}
	if _, err := Pull(t.Context(), host+"/plugins/price@sha256:"+strings.Repeat("0", 64), ""); err == nil {
		t.Error("what is not there is pulled")
	}
	if _, err := Push(t.Context(), "price", want); err == nil || !strings.Contains(err.Error(), "HOST/NAME:TAG") {
		t.Errorf("a reference without a host: %v", err)
	}
	cache := t.TempDir()
	if _, err := Pull(t.Context(), ref, cache); err != nil {
		t.Fatal(err)
	}
	unsigned, err := Push(t.Context(), host+"/plugins/plain:v1", Plugin{Module: want.Module})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Pull(t.Context(), unsigned, ""); err != nil || p.Signature != nil {
		t.Errorf("a signature from nowhere: %q, %v", p.Signature, err)
	}
	server.Close()
	if p, err := Pull(t.Context(), ref, cache); err != nil || string(p.Module) != string(want.Module) {
		t.Errorf("with the registry away the cache brings %q, %v", p.Module, err)
	}
	blob := filepath.Join(cache, "blobs", "sha256", Digest(want.Module))
	if err := errors.Join(os.Remove(blob), os.WriteFile(blob, []byte("\x00asm MODULE"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if p, err := Pull(t.Context(), ref, cache); err == nil {
		t.Errorf("a file swapped in the cache is taken: %q", p.Module)
	}
}

// TestNoMoreOfAFileIsReadThanAModuleMayHave has files at the limit, above it and far above, without content.
func TestNoMoreOfAFileIsReadThanAModuleMayHave(t *testing.T) {
	module := filepath.Join(t.TempDir(), "large.wasm")
	for _, c := range []struct {
		file string
		read func(string) ([]byte, error)
		most int64
	}{{module, Read, maxModuleBytes}, {SignatureOf(module), ReadSignature, maxSignatureBytes}} {
		if err := os.WriteFile(c.file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for size, fits := range map[int64]bool{0: true, c.most: true, c.most + 1: false, 1 << 33: false} {
			if err := os.Truncate(c.file, size); err != nil {
				t.Fatal(err)
			}
			if m, err := c.read(module); (err == nil) != fits || fits && int64(len(m)) != size {
				t.Errorf("%s: of %d bytes came %d, %v", c.file, size, len(m), err)
			}
		}
	}
}

func TestARegistryThatDoesNotAnswerIsAwayAndOneThatRefusesIsNot(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(server.URL, "http://")
	pull := func() error {
		_, err := Pull(t.Context(), host+"/p@sha256:"+strings.Repeat("0", 64), t.TempDir())
		return err
	}
	if err := pull(); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("it has not got it: %v", err)
	}
	for status, away := range map[int]bool{http.StatusForbidden: false, http.StatusTooManyRequests: true, http.StatusServiceUnavailable: true} {
		if err := asked(&errcode.ErrorResponse{StatusCode: status, URL: &url.URL{}}); errors.Is(err, ErrAway) != away {
			t.Error(err)
		}
	}
	server.Close()
	if err := pull(); !errors.Is(err, ErrAway) {
		t.Errorf("nobody listens: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Resolve(ended, host+"/p:v1"); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("it was given up: %v", err)
	}
}
