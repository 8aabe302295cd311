package artifact

import (
	"crypto/rand"
	"errors"
	"fmt"
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
		return fmt.Errorf("writing a key: %w", err)
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
	if err != nil {
		return key, fmt.Errorf("reading the private key %s: %w", file, err)
	}
	return key, nil
}

// PublicKey reads a public key.
func PublicKey(file string) (minisign.PublicKey, error) {
	key, err := minisign.PublicKeyFromFile(file)
	if err != nil {
		return key, fmt.Errorf("reading the public key %s: %w", file, err)
	}
	return key, nil
}
