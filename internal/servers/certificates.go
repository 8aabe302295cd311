package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are the files of a listener with TLS.
type certificates struct {
	ca       string // PEM: the authority that vouches for the brokers
	stranger string // PEM: another authority, which does not
	keystore string // PEM: key and certificate of the brokers, for 127.0.0.1
}

// certify makes an authority, a certificate for 127.0.0.1 that it vouches for, and a second authority.
func certify(dir string) (*certificates, error) {
	c := &certificates{ca: filepath.Join(dir, "ca.pem"), stranger: filepath.Join(dir, "stranger.pem"), keystore: filepath.Join(dir, "keystore.pem")}
	ca, caKey, err := issue("streamproc tests", nil, nil)
	if err != nil {
		return nil, err
	}
	stranger, _, err := issue("a stranger", nil, nil)
	if err != nil {
		return nil, err
	}
	server, serverKey, err := issue("broker", ca, caKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of the brokers: %w", err)
	}
	chain := append(encode("CERTIFICATE", server.Raw), encode("CERTIFICATE", ca.Raw)...)
	for file, text := range map[string][]byte{
		c.ca:       encode("CERTIFICATE", ca.Raw),
		c.stranger: encode("CERTIFICATE", stranger.Raw),
		c.keystore: append(encode("PRIVATE KEY", key), chain...),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, fmt.Errorf("writing the certificates of Kafka: %w", err)
		}
	}
	return c, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// issue makes a certificate signed by parent; without one it is an authority, signed by itself.
func issue(name string, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true}
	if parent == nil {
		parent, by = t, key
		t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate of %s back: %w", name, err)
	}
	return c, key, nil
}
