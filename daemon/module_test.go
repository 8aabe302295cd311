package daemon

import (
	"crypto/rand"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/config"
)

func TestAModuleIsTakenOnlyWithTheSignatureThatIsAskedFor(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	module, key := filepath.Join(dir, "p.wasm"), filepath.Join(dir, "key.pub")
	sig, err := artifact.Sign(private, []byte("module"), artifact.Statement{Name: "p", Version: "1", ABI: "sp1"})
	if err := errors.Join(err, os.WriteFile(module, []byte("module"), 0o600), os.WriteFile(key, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.wasm")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, 64<<20+1)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	push := func(p artifact.Plugin) string {
		ref, err := artifact.Push(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/p:v1", p)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	signed, unsigned := push(artifact.Plugin{Module: []byte("module"), Signature: sig}), push(artifact.Plugin{Module: []byte("module")})
	swapped := push(artifact.Plugin{Module: []byte("MODULE"), Signature: sig})
	b := &builder{log: slog.New(slog.DiscardHandler), options: Options{CacheDir: t.TempDir()}}
	for _, c := range []struct {
		plugin config.Plugin
		wrong  string
	}{
		{config.Plugin{Wasm: module}, ""},
		{config.Plugin{Wasm: module, Signer: key}, "there is no " + module + ".minisig, which streamproc plugin sign " + module + " makes; or leave signature out"},
		{config.Plugin{OCI: unsigned}, ""},
		{config.Plugin{OCI: unsigned, Signer: key}, "it is not signed, and the configuration wants a signature of " + key},
		{config.Plugin{Wasm: large}, "has more than 67108864 bytes, which no module may have"},
		{config.Plugin{OCI: signed, Signer: key}, ""},
		{config.Plugin{OCI: swapped, Signer: key}, "the module has"},
	} {
		got, err := b.module(t.Context(), &c.plugin)
		switch {
		case c.wrong == "" && (err != nil || string(got) != "module"):
			t.Errorf("%+v: %q, %v", c.plugin, got, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%+v: %v, want %q", c.plugin, err, c.wrong)
		}
	}
}
