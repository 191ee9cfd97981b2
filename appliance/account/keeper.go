package account

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// sealedKey is what an account's SealedKey holds: the seed of the keeper's key,
// under XChaCha20-Poly1305 and a key made from the password. The public half is
// bound to it, so that a sealed key cannot be put into another account.
type sealedKey struct {
	Format uint8  `cbor:"1,keyasint"`
	KDF    kdf    `cbor:"2,keyasint"`
	Public []byte `cbor:"3,keyasint"`
	Nonce  []byte `cbor:"4,keyasint"`
	Box    []byte `cbor:"5,keyasint"`
}

const sealPurpose = "redhen keeper key\x00"

// NewKeeper draws a keeper's key and seals it with the password.
func (h *Hasher) NewKeeper(ctx context.Context, password string) (public ed25519.PublicKey, sealed []byte, err error) {
	key, err := ident.NewKey(nil)
	if err != nil {
		return nil, nil, err
	}
	sealed, err = h.seal(ctx, key, password)
	return key.Public(), sealed, err
}

func (h *Hasher) seal(ctx context.Context, key ident.Key, password string) ([]byte, error) {
	s := sealedKey{Format: format, KDF: h.newKDF(), Public: key.Public(), Nonce: make([]byte, chacha20poly1305.NonceSizeX)}
	rand.Read(s.Nonce)
	secret, err := h.derive(ctx, s.KDF, password)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return nil, fmt.Errorf("account: seal key: %w", err)
	}
	s.Box = aead.Seal(nil, s.Nonce, key.Seed(), s.bound())
	return wire.MustMarshal(s), nil
}

func (s *sealedKey) bound() []byte { return append([]byte(sealPurpose), s.Public...) }

func decodeSealed(b []byte) (s sealedKey, err error) {
	if err := decodeRecord(b, &s); err != nil {
		return s, err
	}
	if s.Format != format || len(s.Public) != ed25519.PublicKeySize || len(s.Nonce) != chacha20poly1305.NonceSizeX ||
		len(s.Box) != ed25519.SeedSize+chacha20poly1305.Overhead {
		return s, ErrRecord
	}
	return s, s.KDF.check()
}

// OpenKeeper opens what NewKeeper sealed. ErrWrong says that the password is
// another. Nothing slows down guessing here: for people there is Accounts.KeeperKey.
func (h *Hasher) OpenKeeper(ctx context.Context, sealed []byte, password string) (ident.Key, error) {
	s, err := decodeSealed(sealed)
	if err != nil {
		return ident.Key{}, err
	}
	secret, err := h.derive(ctx, s.KDF, password)
	if err != nil {
		return ident.Key{}, err
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return ident.Key{}, fmt.Errorf("account: open key: %w", err)
	}
	seed, err := aead.Open(nil, s.Nonce, s.Box, s.bound())
	if err != nil {
		return ident.Key{}, ErrWrong
	}
	key, err := ident.KeyFromSeed(seed)
	if err != nil || !key.Public().Equal(ed25519.PublicKey(s.Public)) {
		return ident.Key{}, ErrRecord
	}
	return key, nil
}

// Reseal seals a key again, with another password.
func (h *Hasher) Reseal(ctx context.Context, sealed []byte, old, password string) ([]byte, error) {
	key, err := h.OpenKeeper(ctx, sealed, old)
	if err != nil {
		return nil, err
	}
	return h.seal(ctx, key, password)
}
