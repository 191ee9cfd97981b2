// Package wire is the one encoding of every record that redhen stores, signs or
// sends: deterministic CBOR (RFC 8949 §4.2.1) with hard limits.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// MaxFrame is the largest frame that ReadFrame accepts, in bytes.
const MaxFrame = 4 << 20

// ErrTooLarge says that a frame or record is over its limit.
var ErrTooLarge = errors.New("larger than the limit")

var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       1 << 12,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants
	}
	return v
}

// Marshal encodes v deterministically: equal values give equal bytes on every box.
func Marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

// MustMarshal encodes a value of a type that always encodes: structs of
// integers, strings, byte slices, and slices and maps of those.
func MustMarshal(v any) []byte { return must(encMode.Marshal(v)) }

// Unmarshal decodes exactly one record from b into v. It refuses duplicate keys,
// unknown fields, tags, indefinite lengths, invalid UTF-8 and trailing bytes.
func Unmarshal(b []byte, v any) error { return decMode.Unmarshal(b, v) }

// WriteFrame writes b behind its length, a big-endian uint32, in one Write.
func WriteFrame(w io.Writer, b []byte) error {
	if len(b) > MaxFrame {
		return fmt.Errorf("write frame of %d bytes: %w", len(b), ErrTooLarge)
	}
	buf := make([]byte, 4+len(b))
	binary.BigEndian.PutUint32(buf, uint32(len(b)))
	copy(buf[4:], b)
	_, err := w.Write(buf)
	return err
}

// ReadFrame reads one frame of at most limit bytes (MaxFrame when 0). At a clean
// end it returns io.EOF, inside a frame io.ErrUnexpectedEOF.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	if limit <= 0 || limit > MaxFrame {
		limit = MaxFrame
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("read frame of %d bytes: %w", n, ErrTooLarge)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, noEOF(err)
	}
	return b, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write encodes v and writes it as one frame.
func Write(w io.Writer, v any) error {
	b, err := Marshal(v)
	if err != nil {
		return err
	}
	return WriteFrame(w, b)
}

// Read reads one frame of at most limit bytes and decodes it into v.
func Read(r io.Reader, limit int, v any) error {
	b, err := ReadFrame(r, limit)
	if err != nil {
		return err
	}
	return Unmarshal(b, v)
}
