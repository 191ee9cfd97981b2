// Package ident is the vocabulary of who is who: boxes, houses, circles,
// accounts, shards, and the Ed25519 keys that prove them. It imports nothing of ours.
package ident

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mr-tron/base58"
)

// BoxID names one box: the libp2p peer ID of its Ed25519 key in base58
// ("12D3KooW…"), so the public key can be read from the name. The zero value names none.
type BoxID string

// peerIDPrefix is what every Ed25519 peer ID begins with: identity multihash of
// 36 bytes that hold the protobuf {Type: Ed25519, Data: 32 bytes}
// (libp2p specs, peer-ids).
var peerIDPrefix = [...]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// ErrBadBoxID says that a text or key is no BoxID of an Ed25519 key.
var ErrBadBoxID = errors.New("not the name of a box")

// BoxIDOf returns the BoxID of a public key of ed25519.PublicKeySize bytes.
func BoxIDOf(pub ed25519.PublicKey) BoxID {
	return BoxID(base58.Encode(append(peerIDPrefix[:], pub...)))
}

// ParseBoxID checks that s is the name of an Ed25519 key.
func ParseBoxID(s string) (BoxID, error) {
	id := BoxID(s)
	if id.PublicKey() == nil {
		return "", ErrBadBoxID
	}
	return id, nil
}

// PublicKey returns the key in the name, nil when the name is not valid.
func (b BoxID) PublicKey() ed25519.PublicKey {
	if len(b) > 64 {
		return nil
	}
	raw, err := base58.Decode(string(b))
	if err != nil || len(raw) != len(peerIDPrefix)+ed25519.PublicKeySize ||
		[len(peerIDPrefix)]byte(raw) != peerIDPrefix {
		return nil
	}
	return raw[len(peerIDPrefix):]
}

// Short returns the last eight characters, for logs and lists.
func (b BoxID) Short() string { return string(b[max(0, len(b)-8):]) }

// HouseID names a house, the failure domain: boxes that would burn together.
// It is 16 lower-case hex digits, drawn when the house is first named.
type HouseID string

// CircleID names a circle: 32 lower-case hex digits, the start of the SHA-256 of its founding change.
type CircleID string

// AccountID names a person: 16 lower-case hex digits. It never changes; the person's name may.
type AccountID string

// NewHouseID draws a HouseID.
func NewHouseID() HouseID { return HouseID(randomHex(8)) }

// NewAccountID draws an AccountID.
func NewAccountID() AccountID { return AccountID(randomHex(8)) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b)
}

// ShardID names one shard: one raft group and its data, which is one space or the
// circle shard. It prints as 16 hex digits.
type ShardID uint64

// CircleShard is the shard that holds the directory. Every circle has exactly one.
const CircleShard ShardID = 1

// NewShardID draws the ID of a new space; never zero, never CircleShard.
func NewShardID() ShardID {
	for {
		var b [8]byte
		rand.Read(b[:])
		if id := ShardID(binary.BigEndian.Uint64(b[:])); id > CircleShard {
			return id
		}
	}
}

// String returns 16 lower-case hex digits.
func (s ShardID) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// ParseShardID reads what String wrote.
func ParseShardID(s string) (ShardID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 8 || strings.ToLower(s) != s {
		return 0, fmt.Errorf("shard %q: want 16 hex digits", s)
	}
	return ShardID(binary.BigEndian.Uint64(b)), nil
}

// ReplicaID numbers one replica of a shard; raft's node ID. It is never reused
// within a shard; zero names none.
type ReplicaID uint64

// Key is an Ed25519 private key of a box or a keeper. It prints as its public
// half; only Seed gives the secret away.
type Key struct{ private ed25519.PrivateKey }

// NewKey draws a key from r (crypto/rand when nil).
func NewKey(r io.Reader) (Key, error) {
	if r == nil {
		r = rand.Reader
	}
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(r, seed[:]); err != nil {
		return Key{}, fmt.Errorf("draw key: %w", err)
	}
	return Key{ed25519.NewKeyFromSeed(seed[:])}, nil
}

// KeyFromSeed returns the key of a 32-byte seed.
func KeyFromSeed(seed []byte) (Key, error) {
	if len(seed) != ed25519.SeedSize {
		return Key{}, fmt.Errorf("key seed of %d bytes: want %d", len(seed), ed25519.SeedSize)
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// IsZero reports whether the key is missing.
func (k Key) IsZero() bool { return k.private == nil }

// Public returns the public half.
func (k Key) Public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// BoxID returns the name of the box whose key this is.
func (k Key) BoxID() BoxID { return BoxIDOf(k.Public()) }

// Seed returns the 32 secret bytes. Callers store or seal them and nothing else.
func (k Key) Seed() []byte { return k.private.Seed() }

// Sign signs the message under a purpose, so that a signature made for one use
// is worth nothing for another: Ed25519 over purpose, a zero byte, message.
func (k Key) Sign(purpose string, message []byte) []byte {
	return ed25519.Sign(k.private, signed(purpose, message))
}

// Verify reports whether sig is pub's signature of message under purpose. Any
// length of pub and sig is safe.
func Verify(pub ed25519.PublicKey, purpose string, message, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, signed(purpose, message), sig)
}

func signed(purpose string, message []byte) []byte {
	b := make([]byte, 0, len(purpose)+1+len(message))
	b = append(append(b, purpose...), 0)
	return append(b, message...)
}

// Format prints the public half only, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) {
	if k.IsZero() {
		fmt.Fprint(f, "no key")
		return
	}
	fmt.Fprint(f, "key of "+k.BoxID().Short())
}
