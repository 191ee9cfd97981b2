package appliance

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"redhen/provision/ident"
	"redhen/provision/onefile"
)

// keyFile holds the box's key: PKCS #8 in PEM, as openssl reads it.
const keyFile = "box.key"

// loadKey reads the key of the box, and makes one at the first start.
func loadKey(dir string) (ident.Key, error) {
	path := filepath.Join(dir, keyFile)
	b, err := onefile.Read(path, 4<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeKey(path)
	case err != nil:
		return ident.Key{}, fmt.Errorf("read box key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return ident.Key{}, fmt.Errorf("read box key: %s is not a PEM file", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return ident.Key{}, fmt.Errorf("read box key: %w", err)
	}
	private, ok := k.(ed25519.PrivateKey)
	if !ok {
		return ident.Key{}, fmt.Errorf("read box key: a %T, want Ed25519", k)
	}
	return ident.KeyFromSeed(private.Seed())
}

func makeKey(path string) (ident.Key, error) {
	key, err := ident.NewKey(nil)
	if err != nil {
		return ident.Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(key.Seed()))
	if err != nil {
		return ident.Key{}, fmt.Errorf("make box key: %w", err)
	}
	if err := onefile.Replace(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return ident.Key{}, fmt.Errorf("make box key: %w", err)
	}
	return key, nil
}

// ErrInUse says that another process runs on the state directory.
var ErrInUse = errors.New("another redhen runs on this state directory")

// lock makes the state directory this process's own until unlock.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, ErrInUse
	}
	return func() { f.Close() }, nil
}
