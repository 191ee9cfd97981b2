package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"redhen/provision/wire"
)

// MaxMemory is the most memory of one hash, in KiB: 19 MiB (OWASP's second choice
// for argon2id). A board of 512 MB bears two at once.
const MaxMemory = 19 << 10

const (
	atOnce    = 2
	maxQueue  = 32 // waiting or hashing
	maxRecord = 512
	saltSize  = 16
	sumSize   = 32
	format    = 1
)

// ErrRecord says that a stored record cannot be read, or asks for more time or
// memory than we give.
var ErrRecord = errors.New("account: unreadable record")

// Cost is what one hash takes. The zero value means two passes over MaxMemory.
type Cost struct {
	Passes uint32
	Memory uint32 // KiB
}

// Hasher turns passwords into keys by argon2id (RFC 9106): at most two at once,
// 32 in line. It is safe for concurrent use.
type Hasher struct {
	cost  Cost
	slots chan struct{}
	line  chan struct{}
}

// NewHasher returns a Hasher whose new records have the given cost; old ones keep theirs.
func NewHasher(c Cost) *Hasher {
	if c.Passes == 0 {
		c.Passes = 2
	}
	if c.Memory == 0 || c.Memory > MaxMemory {
		c.Memory = MaxMemory
	}
	return &Hasher{cost: c, slots: make(chan struct{}, atOnce), line: make(chan struct{}, maxQueue)}
}

// kdf says how a key was made from a password.
type kdf struct {
	Passes  uint32 `cbor:"1,keyasint"`
	Memory  uint32 `cbor:"2,keyasint"` // KiB
	Threads uint8  `cbor:"3,keyasint"`
	Salt    []byte `cbor:"4,keyasint"`
}

func (k kdf) check() error {
	if k.Passes < 1 || k.Passes > 16 || k.Memory < 8 || k.Memory > MaxMemory ||
		k.Threads < 1 || k.Threads > 4 || len(k.Salt) < saltSize || len(k.Salt) > 64 {
		return ErrRecord
	}
	return nil
}

func (h *Hasher) newKDF() kdf {
	k := kdf{Passes: h.cost.Passes, Memory: h.cost.Memory, Threads: 1, Salt: make([]byte, saltSize)}
	rand.Read(k.Salt)
	return k
}

// derive returns 32 bytes. It fails with ErrBusy or ctx's error, before any work.
func (h *Hasher) derive(ctx context.Context, k kdf, password string) ([]byte, error) {
	select {
	case h.line <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	defer func() { <-h.line }()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	// The same characters may be typed composed or not (RFC 8265 §4.2.2).
	return argon2.IDKey(norm.NFC.Bytes([]byte(password)), k.Salt, k.Passes, k.Memory, k.Threads, sumSize), nil
}

// passwordRecord is what an account's Password holds.
type passwordRecord struct {
	Format uint8  `cbor:"1,keyasint"`
	KDF    kdf    `cbor:"2,keyasint"`
	Sum    []byte `cbor:"3,keyasint"`
}

func decodePassword(b []byte) (r passwordRecord, err error) {
	if err := decodeRecord(b, &r); err != nil {
		return r, err
	}
	if r.Format != format || len(r.Sum) != sumSize {
		return r, ErrRecord
	}
	return r, r.KDF.check()
}

func decodeRecord(b []byte, r any) error {
	if len(b) > maxRecord {
		return ErrRecord
	}
	if err := wire.Unmarshal(b, r); err != nil {
		return fmt.Errorf("%w: %v", ErrRecord, err)
	}
	return nil
}

// Password makes the record of a password, for an account's Password.
func (h *Hasher) Password(ctx context.Context, password string) ([]byte, error) {
	k := h.newKDF()
	sum, err := h.derive(ctx, k, password)
	if err != nil {
		return nil, err
	}
	return wire.MustMarshal(passwordRecord{format, k, sum}), nil
}

// Check reports whether the password is the one of the record, in constant time.
func (h *Hasher) Check(ctx context.Context, record []byte, password string) (bool, error) {
	r, err := decodePassword(record)
	if err != nil {
		return false, err
	}
	sum, err := h.derive(ctx, r.KDF, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, r.Sum) == 1, nil
}

// nobody is checked where there is no account, so that this costs the same.
func (h *Hasher) nobody() []byte {
	r := passwordRecord{format, h.newKDF(), make([]byte, sumSize)}
	rand.Read(r.Sum)
	return wire.MustMarshal(r)
}
