// Package artifact moves plugins between machines: signed by their author, in registries of OCI artifacts, found by digest.
// It is the only door to minisign and to oras-go.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"aead.dev/minisign"
)

// Statement is what an author signs: not the bytes alone, which could then be passed off under another name or as a newer
// version.
type Statement struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	ABI     string `json:"abi"`
	SHA256  string `json:"sha256"` // of the module, hex
}

const statementPrefix = "streamproc plugin: "

var (
	// ErrSignature is what every error about a signature wraps.
	ErrSignature = errors.New("the signature does not hold")
	wordRE       = regexp.MustCompile(`^[A-Za-z0-9._+()/-]([A-Za-z0-9._+()/ -]{0,98}[A-Za-z0-9._+()/-])?$`)
)

func (s Statement) String() string {
	return fmt.Sprintf("%sname=%s version=%s sha256=%s abi=%s", statementPrefix, s.Name, s.Version, s.SHA256, s.ABI)
}

func (s Statement) check() error {
	for what, word := range map[string]string{"name": s.Name, "version": s.Version, "abi": s.ABI} {
		if !wordRE.MatchString(word) || what != "abi" && strings.Contains(word, " ") {
			return fmt.Errorf("the %s %q cannot be signed: use letters, digits, '.', '_', '+' and '-', at most 100", what, word)
		}
	}
	return nil
}

func parseStatement(text string) (s Statement, err error) {
	rest, ok := strings.CutPrefix(text, statementPrefix)
	fields := strings.SplitN(rest, " ", 4)
	if !ok || len(fields) != 4 {
		return s, fmt.Errorf("%w: it is not one of a plugin", ErrSignature)
	}
	for i, f := range []struct {
		name string
		to   *string
	}{{"name=", &s.Name}, {"version=", &s.Version}, {"sha256=", &s.SHA256}, {"abi=", &s.ABI}} {
		if *f.to, ok = strings.CutPrefix(fields[i], f.name); !ok {
			return s, fmt.Errorf("%w: it has no %s", ErrSignature, strings.TrimSuffix(f.name, "="))
		}
	}
	return s, s.check()
}

// Digest returns the hex SHA-256 of a module.
func Digest(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

// Read reads a module from a file, and no more of it than a module may have.
func Read(file string) ([]byte, error) {
	return read(file, maxModuleBytes, "module")
}

// SignatureOf is the file beside a module's in which its signature is.
func SignatureOf(module string) string { return module + ".minisig" }

// ReadSignature reads the signature beside the file of a module, and no more of it than a signature may have.
func ReadSignature(module string) ([]byte, error) {
	return read(SignatureOf(module), maxSignatureBytes, "signature")
}

func read(file string, most int64, what string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes, which no %s may have", file, most, what)
	}
	return text, err
}

// Sign signs a module under a name and version. The signature is in the format of minisign, over the statement, which is
// its trusted comment too.
func Sign(key minisign.PrivateKey, module []byte, s Statement) ([]byte, error) {
	s.SHA256 = Digest(module)
	if err := s.check(); err != nil {
		return nil, err
	}
	return minisign.SignWithComments(key, []byte(s.String()), s.String(), "signature of a streamproc plugin"), nil
}

// Verify says what the author of a signature states, after it has made sure that it is of this key, and of this module.
func Verify(key minisign.PublicKey, module, signature []byte) (Statement, error) {
	if signature == nil {
		return Statement{}, fmt.Errorf("%w: there is none, the plugin is not signed", ErrSignature)
	}
	var sig minisign.Signature
	if err := sig.UnmarshalText(signature); err != nil {
		return Statement{}, fmt.Errorf("%w: it cannot be read: %w", ErrSignature, err)
	}
	if sig.KeyID != key.ID() {
		return Statement{}, fmt.Errorf("%w: it is of the key %X, not of %X", ErrSignature, sig.KeyID, key.ID())
	}
	if !minisign.Verify(key, []byte(sig.TrustedComment), signature) {
		return Statement{}, fmt.Errorf("%w: it was changed after it was made", ErrSignature)
	}
	s, err := parseStatement(sig.TrustedComment)
	if err != nil {
		return s, err
	}
	if digest := Digest(module); s.SHA256 != digest {
		return s, fmt.Errorf("%w: it is of %s %s with SHA-256 %s, and the module has %s", ErrSignature, s.Name, s.Version, s.SHA256, digest)
	}
	return s, nil
}
