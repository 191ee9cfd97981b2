// Package kv is the ordered key-value file under every state machine of a box:
// one bbolt file per shard with the applied raft index in the same transaction,
// a pending batch in memory above it, and layers for what may yet change.
//
// It keeps no history, knows no table, and syncs only when Flush, Copy or Close
// is called: what was applied and not flushed comes again from the raft log.
package kv

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
)

// Limits of a key and a value in bytes. Callers keep to them; Put panics beyond.
const (
	MaxKey   = 4 << 10
	MaxValue = 2 << 20
)

// Errors of this package.
var (
	// ErrDamaged says that the file contradicts itself or a checksum. It cannot be
	// repaired here; a copy comes from another house.
	ErrDamaged = errors.New("state file is damaged")
	// ErrFull says that the disk had no room. Nothing is lost; Flush may be tried again.
	ErrFull = errors.New("no room on the disk for the state file")
	// ErrInUse says that another process holds the file.
	ErrInUse = errors.New("state file is in use by another process")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("state file is closed")
)

// Reader reads a consistent state. Slices that it returns may not be changed, and
// are valid only as long as the Reader: copy what must live longer.
type Reader interface {
	// Get returns the value of key, nil when there is none. A stored empty value is not nil.
	Get(key []byte) []byte
	// Scan goes through the keys that begin with prefix and are not below from
	// (nil: from the first), ascending. Nothing may be written while a scan runs.
	Scan(prefix, from []byte) iter.Seq2[[]byte, []byte]
}

// Writer changes a state. Its reads see its own writes.
type Writer interface {
	Reader
	// Put stores a copy of value under a copy of key. The key may not be empty.
	Put(key, value []byte)
	// Delete removes the key if it is there.
	Delete(key []byte)
}

// Hash returns the SHA-256 of all keys and values in order, each behind its
// length: equal states have equal hashes on every box, whatever their files look like.
func Hash(r Reader) [32]byte {
	h := sha256.New()
	var buf []byte
	for k, v := range r.Scan(nil, nil) {
		buf = binary.AppendUvarint(buf[:0], uint64(len(k)))
		buf = binary.AppendUvarint(append(buf, k...), uint64(len(v)))
		h.Write(append(buf, v...))
	}
	return [32]byte(h.Sum(nil))
}
