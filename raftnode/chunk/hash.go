package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Size is the most bytes that a chunk holds: 1 MiB.
const Size = 1 << 20

// Hash names a chunk: the SHA-256 of its bytes. As text it is 64 lower-case hex
// digits, in CBOR a byte string of 32 bytes.
type Hash [sha256.Size]byte

// errBadHash says that a text or record is no hash.
var errBadHash = errors.New("not the name of a chunk")

// Sum returns the name of the bytes.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// String returns 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether the hash names nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

// Compare orders hashes by their bytes, for slices.SortFunc.
func (h Hash) Compare(g Hash) int { return bytes.Compare(h[:], g[:]) }

// ParseHash reads what String wrote, and nothing else.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("%w: %d digits", errBadHash, len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil || h.String() != s {
		return Hash{}, fmt.Errorf("%w: %q", errBadHash, s)
	}
	return h, nil
}

// MarshalText returns String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}

// cborHead is the head of a CBOR byte string of 32 bytes (RFC 8949 §3.1).
var cborHead = [...]byte{0x58, sha256.Size}

// MarshalCBOR returns the hash as a byte string.
func (h Hash) MarshalCBOR() ([]byte, error) {
	return append(append(make([]byte, 0, len(cborHead)+len(h)), cborHead[:]...), h[:]...), nil
}

// UnmarshalCBOR accepts a byte string of exactly 32 bytes. (Left to the codec, a
// shorter string or an array of numbers would pass too, and one hash would have many encodings.)
func (h *Hash) UnmarshalCBOR(b []byte) error {
	if len(b) != len(cborHead)+len(h) || [len(cborHead)]byte(b) != cborHead {
		return fmt.Errorf("%w: %d bytes of CBOR", errBadHash, len(b))
	}
	copy(h[:], b[len(cborHead):])
	return nil
}
