package artifact

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"aead.dev/minisign"
)

// NewKey writes a pair of keys: the private one to a file that only its owner can read, encrypted with a password, the
// public one beside it with the ending .pub. Nothing that is there is overwritten.
func NewKey(file, password string) error {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	secret, err := minisign.EncryptKey(password, private)
	if err != nil {
		return fmt.Errorf("encrypting the key: %w", err)
	}
	text, err := public.MarshalText()
	if err != nil {
		return fmt.Errorf("writing the public key: %w", err)
	}
	if err := create(file, secret, 0o600); err != nil {
		return err
	}
	return create(file+".pub", append(text, '\n'), 0o644)
}

func create(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing a key, which never takes the place of another file: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	return nil
}

// PrivateKey reads a private key.
func PrivateKey(file, password string) (minisign.PrivateKey, error) {
	key, err := minisign.PrivateKeyFromFile(password, file)
	if err == nil {
		return key, nil
	}
	if _, other := minisign.PublicKeyFromFile(file); other == nil {
		err = errors.New("it is a public key, which cannot sign: name the private one")
	} else if !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: this password does not open it, or it is no private key of minisign", err)
	}
	return key, fmt.Errorf("reading the private key %s: %w", file, err)
}

// PublicKey reads a public key.
func PublicKey(file string) (minisign.PublicKey, error) {
	key, err := minisign.PublicKeyFromFile(file)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return key, about(file, err)
	}
	text, _ := os.ReadFile(file) // what it is beside no public key only makes the error clearer
	if minisign.IsEncrypted(text) {
		return key, about(file, errors.New("it is a private key: name the public one, which streamproc plugin key has put beside it as FILE.pub"))
	}
	return key, about(file, fmt.Errorf("%w: it is no public key of minisign", err))
}

func about(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("reading the public key %s: %w", file, err)
}
