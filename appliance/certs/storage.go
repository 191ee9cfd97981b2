package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"redhen/appliance/vault"
)

// Vault is where certificates and keys lie; *vault.Vault is one.
type Vault interface {
	Get(name string) ([]byte, error)
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
	Names(below string) ([]string, error)
	Stat(name string) (at time.Time, size int64, err error)
	Take(ctx context.Context, name string) (*vault.Lease, error)
	News() <-chan struct{}
}

var _ Vault = (*vault.Vault)(nil)

// storage is certmagic's storage in the vault.
type storage struct {
	vault Vault

	mu     sync.Mutex // guards leases
	leases map[string]*vault.Lease
}

var _ certmagic.Storage = (*storage)(nil)

func newStorage(v Vault) *storage { return &storage{vault: v, leases: map[string]*vault.Lease{}} }

const below = "certs"

func full(key string) string {
	if key == "" {
		return below
	}
	return below + "/" + key
}

// leaseName makes a name of the vault of the name of a lock, which may hold a "*".
func leaseName(lock string) string { return full(certmagic.StorageKeys.Safe(lock)) }

func (s *storage) Lock(ctx context.Context, name string) error {
	l, err := s.vault.Take(ctx, leaseName(name))
	if err != nil {
		return fmt.Errorf("certs: lock %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[name] = l
	return nil
}

func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.leases[name]
	delete(s.leases, name)
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("certs: unlock %s: not locked", name)
	}
	return l.Release(ctx)
}

func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.vault.Put(ctx, full(key), value)
}

func (s *storage) Load(_ context.Context, key string) ([]byte, error) { return s.vault.Get(full(key)) }

func (s *storage) Delete(ctx context.Context, key string) error {
	return s.vault.Delete(ctx, full(key))
}

func (s *storage) Exists(_ context.Context, key string) bool {
	if _, _, err := s.vault.Stat(full(key)); err == nil {
		return true
	}
	names, err := s.vault.Names(full(key))
	return err == nil && len(names) > 0
}

// List returns keys; without recursive those directly below, folders among them.
func (s *storage) List(_ context.Context, dir string, recursive bool) ([]string, error) {
	names, err := s.vault.Names(full(dir))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	var keys []string
	seen := map[string]bool{}
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	for _, n := range names {
		key := strings.TrimPrefix(n, below+"/")
		rest := strings.TrimPrefix(strings.TrimPrefix(key, dir), "/")
		for i := range len(rest) {
			if rest[i] != '/' {
				continue
			}
			add(strings.TrimSuffix(key, rest[i:]))
			if !recursive {
				break
			}
		}
		if recursive || !strings.Contains(rest, "/") {
			add(key)
		}
	}
	return keys, nil
}

func (s *storage) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	at, size, err := s.vault.Stat(full(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if names, err := s.vault.Names(full(key)); err != nil || len(names) == 0 {
			return certmagic.KeyInfo{}, fs.ErrNotExist
		}
		return certmagic.KeyInfo{Key: key}, nil
	case err != nil:
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: at, Size: size, IsTerminal: true}, nil
}
