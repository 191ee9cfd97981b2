package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"runtime"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// bbolt has no checksum over data, so each value carries one: CRC-32C of key and
// value, behind the value, little-endian.
const sealSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func seal(key, value []byte) []byte {
	b := append(make([]byte, 0, len(value)+sealSize), value...)
	return binary.LittleEndian.AppendUint32(b, checksum(key, value))
}

func unseal(key, stored []byte) ([]byte, bool) {
	n := len(stored) - sealSize
	if n < 0 || binary.LittleEndian.Uint32(stored[n:]) != checksum(key, stored[:n]) {
		return nil, false
	}
	return stored[:n:n], true
}

// fileReader reads a transaction of the file. It panics with damage, which
// guardFaults turns into an error: apply functions need not check every read.
type fileReader struct{ bucket *bolt.Bucket }

type damage struct{ why string }

// Damaged ends the View or Apply that it is called in with ErrDamaged. It is for a
// record that has the right checksum and cannot be read all the same.
func Damaged(format string, args ...any) { panic(damage{fmt.Sprintf(format, args...)}) }

func (f fileReader) Get(key []byte) []byte {
	stored := f.get(key)
	if stored == nil {
		return nil
	}
	return open(key, stored)
}

func (f fileReader) get(key []byte) []byte {
	defer bad()
	return f.bucket.Get(key)
}

func open(key, stored []byte) []byte {
	v, ok := unseal(key, stored)
	if !ok {
		panic(damage{fmt.Sprintf("checksum of key %x", key)})
	}
	return v
}

func (f fileReader) Scan(prefix, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := f.bucket.Cursor()
		start := prefix
		if bytes.Compare(from, start) > 0 {
			start = from
		}
		k, v := seek(c, start)
		for k != nil && bytes.HasPrefix(k, prefix) && yield(k, open(k, v)) {
			k, v = next(c)
		}
	}
}

func seek(c *bolt.Cursor, key []byte) (k, v []byte) {
	defer bad()
	return c.Seek(key)
}

func next(c *bolt.Cursor) (k, v []byte) {
	defer bad()
	return c.Next()
}

// bad turns any panic of bbolt into damage.
func bad() {
	if r := recover(); r != nil {
		panic(damage{fmt.Sprint(r)})
	}
}

// guard runs fn, which is all bbolt's, and turns its panics and the faults of its
// mapped file into ErrDamaged.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return fn()
}

// guardFaults runs fn, a caller's, and turns damage and faults of the mapped file
// into ErrDamaged. Other panics go on.
func guardFaults(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case damage:
			err = fmt.Errorf("%w: %s", ErrDamaged, r.why)
		case interface {
			runtime.Error
			Addr() uintptr // a fault beyond the nil page (debug.SetPanicOnFault)
		}:
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		default:
			panic(r)
		}
	}()
	return fn()
}
