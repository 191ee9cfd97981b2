package vault

import (
	"context"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

const (
	ringBelow  = "ring/secret"
	boxBelow   = "ring/box"
	keyPurpose = "redhen vault key"
)

// keys is the key of this box to which secrets are wrapped; derived from the box's
// own, so that there is nothing more to keep.
type keys struct {
	box     ident.Key
	private hpke.PrivateKey
}

// published is how a box tells its key.
type published struct {
	Key []byte `cbor:"1,keyasint"`
	Sig []byte `cbor:"2,keyasint"`
}

// ring is one secret of the circle, wrapped for each box that may open it.
type ring struct {
	Wraps map[ident.BoxID][]byte `cbor:"1,keyasint"`
}

func newKeys(box ident.Key) (*keys, error) {
	seed, err := hkdf.Key(sha256.New, box.Seed(), nil, keyPurpose, 32)
	if err != nil {
		return nil, fmt.Errorf("vault: derive key: %w", err)
	}
	private, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(seed)
	if err != nil {
		return nil, fmt.Errorf("vault: derive key: %w", err)
	}
	return &keys{box, private}, nil
}

func (k *keys) publish() []byte {
	pub := k.private.PublicKey().Bytes()
	return wire.MustMarshal(published{pub, k.box.Sign(keyPurpose, pub)})
}

// readKey returns the key that a box has told, if the box itself signed it.
func readKey(id ident.BoxID, raw []byte) (hpke.PublicKey, error) {
	var p published
	if err := wire.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("vault: key of %s: %w", id.Short(), err)
	}
	if !ident.Verify(id.PublicKey(), keyPurpose, p.Key, p.Sig) {
		return nil, fmt.Errorf("vault: key of %s is not signed by it", id.Short())
	}
	return hpke.DHKEM(ecdh.X25519()).NewPublicKey(p.Key)
}

func info(ring uint64, to ident.BoxID) []byte {
	return fmt.Appendf(nil, "redhen circle secret %d for %s", ring, to)
}

func wrap(n uint64, to ident.BoxID, key hpke.PublicKey, secret [32]byte) ([]byte, error) {
	return hpke.Seal(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(n, to), secret[:])
}

func (k *keys) unwrap(n uint64, raw []byte) (secret [32]byte, err error) {
	b, err := hpke.Open(k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(n, k.box.BoxID()), raw)
	if err != nil || len(b) != len(secret) {
		return secret, fmt.Errorf("vault: ring %d cannot be opened: %w", n, errors.Join(err, ErrLocked))
	}
	return [32]byte(b), nil
}

// rings is what the directory says of secrets and boxes.
type rings struct {
	newest  uint64
	ring    ring
	version uint64 // of ring
	keys    map[ident.BoxID]hpke.PublicKey
	mine    bool // this box's key is told
}

func ringName(n uint64) string         { return ringBelow + "/" + strconv.FormatUint(n, 10) }
func boxKeyName(id ident.BoxID) string { return boxBelow + "/" + string(id) }
func mayOpen(r *roster.State, b ident.BoxID) bool {
	box, _ := r.Box(b)
	return r.Active(b) && !box.Gift
}

// read reads what there is of rings, and the keys of those who may open them.
func (v *Vault) read() (s rings, err error) {
	s.keys = map[ident.BoxID]hpke.PublicKey{}
	self := v.cfg.Key.BoxID()
	err = v.cfg.Node.Directory(func(view directory.View) error {
		r := view.Roster()
		if r == nil {
			return raftnode.ErrNoCircle
		}
		for _, name := range view.SealedNames(ringBelow) {
			n, err := strconv.ParseUint(strings.TrimPrefix(name, ringBelow+"/"), 10, 64)
			if err == nil {
				s.newest = max(s.newest, n)
			}
		}
		if s.newest > 0 {
			sealed, _ := view.Sealed(ringName(s.newest))
			s.version = sealed.Version
			if err := wire.Unmarshal(sealed.Value, &s.ring); err != nil {
				return fmt.Errorf("vault: ring %d: %w", s.newest, err)
			}
		}
		for _, b := range r.Members() {
			sealed, told := view.Sealed(boxKeyName(b.ID))
			if !told || !mayOpen(r, b.ID) {
				continue
			}
			key, err := readKey(b.ID, sealed.Value)
			if err != nil {
				v.cfg.Logger.Warn("key of a box", "box", b.ID.Short(), "err", err)
				continue
			}
			s.keys[b.ID] = key
			s.mine = s.mine || b.ID == self && slices.Equal(key.Bytes(), v.keys.private.PublicKey().Bytes())
		}
		return nil
	})
	return s, err
}

// secret opens a ring.
func (v *Vault) secret(n uint64) (secret [32]byte, err error) {
	sealed, err := v.sealed(ringName(n))
	if err != nil {
		return secret, fmt.Errorf("vault: ring %d: %w", n, err)
	}
	var r ring
	if err := wire.Unmarshal(sealed.Value, &r); err != nil {
		return secret, fmt.Errorf("vault: ring %d: %w", n, err)
	}
	raw, ok := r.Wraps[v.cfg.Key.BoxID()]
	if !ok {
		return secret, ErrLocked
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last.ring == n && v.last.wrap == string(raw) {
		return v.last.secret, nil
	}
	if secret, err = v.keys.unwrap(n, raw); err == nil {
		v.last = opened{n, string(raw), secret}
	}
	return secret, err
}

// newest opens the newest ring, and makes the first one.
func (v *Vault) newest(ctx context.Context) (n uint64, secret [32]byte, err error) {
	s, err := v.read()
	if err != nil {
		return 0, secret, err
	}
	if s.newest == 0 {
		if err := v.begin(ctx, 1); err != nil && !errors.Is(err, ErrRefused) {
			return 0, secret, err
		}
		if s, err = v.read(); err != nil {
			return 0, secret, err
		}
	}
	secret, err = v.secret(s.newest)
	return s.newest, secret, err
}

// begin makes a ring for the boxes of now.
func (v *Vault) begin(ctx context.Context, n uint64) error {
	if err := v.tellKey(ctx); err != nil {
		return err
	}
	s, err := v.read()
	if err != nil {
		return err
	}
	var secret [32]byte
	crand.Read(secret[:]) // never fails (crypto/rand, Go 1.24)
	r := ring{Wraps: map[ident.BoxID][]byte{}}
	for id, key := range s.keys {
		if r.Wraps[id], err = wrap(n, id, key, secret); err != nil {
			return fmt.Errorf("vault: wrap for %s: %w", id.Short(), err)
		}
	}
	return v.command(ctx, directory.Command{PutSealed: &directory.PutSealed{Name: ringName(n), Value: wire.MustMarshal(r), Only: true}})
}

// tellKey publishes this box's key when the circle does not know it.
func (v *Vault) tellKey(ctx context.Context) error {
	s, err := v.read()
	if err != nil || s.mine {
		return err
	}
	var may bool
	err = v.cfg.Node.Directory(func(view directory.View) error {
		may = mayOpen(view.Roster(), v.cfg.Key.BoxID())
		return nil
	})
	if err != nil || !may {
		return err
	}
	return v.command(ctx, directory.Command{PutSealed: &directory.PutSealed{Name: boxKeyName(v.cfg.Key.BoxID()), Value: v.keys.publish()}})
}

// handOn wraps the newest secret for boxes that have no place in its ring, and takes
// those out that left.
func (v *Vault) handOn(ctx context.Context) error {
	s, err := v.read()
	if err != nil || s.newest == 0 {
		return err
	}
	next := ring{Wraps: maps.Clone(s.ring.Wraps)}
	changed := false
	for id := range next.Wraps {
		if s.keys[id] == nil {
			delete(next.Wraps, id)
			changed = true
		}
	}
	for id, key := range s.keys {
		if _, has := next.Wraps[id]; has {
			continue
		}
		secret, err := v.secret(s.newest)
		if errors.Is(err, ErrLocked) {
			return nil // somebody else's to do
		}
		if err != nil {
			return err
		}
		if next.Wraps[id], err = wrap(s.newest, id, key, secret); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	err = v.command(ctx, directory.Command{PutSealed: &directory.PutSealed{
		Name: ringName(s.newest), Value: wire.MustMarshal(next), Only: true, If: s.version,
	}})
	if errors.Is(err, ErrRefused) {
		return nil // another box was faster; there is news
	}
	return err
}

// Rotate makes a new secret for the boxes of now, seals everything anew with it, and
// forgets the old ones: whoever left with an old one can open nothing that comes.
// What was sealed before, they may have read: that must change by itself.
func (v *Vault) Rotate(ctx context.Context) error {
	s, err := v.read()
	if err != nil || s.newest == 0 {
		return err
	}
	n := s.newest + 1
	if err := v.begin(ctx, n); err != nil {
		return err
	}
	secret, err := v.secret(n)
	if err != nil {
		return err
	}
	names, err := v.Names("")
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := v.Get(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		if err := v.put(ctx, name, value, n, secret); err != nil {
			return err
		}
	}
	return v.command(ctx, directory.Command{DropSealed: &directory.DropSealed{Name: ringName(s.newest)}})
}

// used reports whether anybody has sealed anything: a circle that never did has no rings, and
// its boxes tell no keys.
func (v *Vault) used() bool {
	s, err := v.read()
	return err == nil && s.newest > 0
}

// Run tells this box's key and hands the secret on to others, until ctx ends.
func (v *Vault) Run(ctx context.Context) error {
	for {
		news := v.News()
		if v.used() {
			if err := errors.Join(v.tellKey(ctx), v.handOn(ctx)); err != nil && ctx.Err() == nil {
				v.cfg.Logger.Debug("secret not handed on", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-time.After(time.Minute): // after an error
			continue
		}
		select { // not all at once
		case <-ctx.Done():
			return nil
		case <-time.After(200*time.Millisecond + rand.N(800*time.Millisecond)):
		}
	}
}
