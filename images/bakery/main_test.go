package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func keyFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeysThatSign(t *testing.T) {
	_, good, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readKey(keyFile(t, good)); err != nil || !got.Equal(good) {
		t.Errorf("an Ed25519 key: %v", err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{keyFile(t, other), junk, "/no/such/key"} {
		if _, err := readKey(path); err == nil {
			t.Errorf("%s signs", path)
		}
	}
}

func TestNothingIsBakedForNonsense(t *testing.T) {
	for _, args := range [][]string{{"-boards", "toaster"}, {"-key", "/no/such/key"}, {"-nonsense"}, {"-number", "many"}} {
		if err := run(t.Context(), append(args, "-out", t.TempDir()), io.Discard, io.Discard); err == nil {
			t.Errorf("%q: done", args)
		}
	}
}
