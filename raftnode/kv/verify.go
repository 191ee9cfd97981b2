package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// pageSize is fixed, so that a file may move between boxes with other page sizes.
const pageSize = 4096

// The file format of bbolt 1.5 (internal/common: page.go, meta.go, bucket.go), as
// far as verify needs it. All boxes are little-endian.
const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	branchPage  = 0x01
	leafPage    = 0x02
	bucketFlag  = 0x01
	headSize    = 16 // id u64, flags u16, count u16, overflow u32
	elemSize    = 16 // branch: pos, ksize u32, page u64; leaf: flags, pos, ksize, vsize u32
	bucketSize  = 16 // root u64, sequence u64
	maxDepth    = 24
	maxPage     = 1 << 40
	// maxOverflow is in pages: bbolt puts at least two entries into a page.
	maxOverflow = 4 * (MaxValue + MaxKey) / pageSize
)

// verifier walks a whole file by ordinary reads. bbolt itself trusts its pages: on
// a bad one it panics, on some paths in a goroutine where nobody can recover, or
// finds nothing where something is.
type verifier struct {
	file io.ReaderAt
	end  uint64 // pages from here on are not in use
	seen map[uint64]struct{}
	stop func() error // ends the walk with its error; nil: nothing does
}

// verify reads the whole file and checks its tree, the order of its keys and the
// checksum of every value. It returns ErrDamaged or the error of a failed read.
func verify(file io.ReaderAt) error {
	root, end, err := newestMeta(file)
	if err != nil {
		return err
	}
	v := &verifier{file: file, end: end, seen: map[uint64]struct{}{}}
	return v.page(root, bounds{}, 0, v.bucket)
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// newestMeta returns root page and end of the newest valid meta page, as bbolt would choose.
func newestMeta(file io.ReaderAt) (root, end uint64, err error) {
	found := false
	var newest uint64
	for i := range int64(2) {
		b := make([]byte, headSize+64)
		if err := readAt(file, b, i*pageSize); err != nil && !errors.Is(err, ErrDamaged) {
			return 0, 0, err
		}
		m := b[headSize:]
		h := fnv.New64a()
		h.Write(m[:56])
		le := binary.LittleEndian
		if le.Uint32(m) != metaMagic || le.Uint32(m[4:]) != metaVersion || le.Uint32(m[8:]) != pageSize || le.Uint64(m[56:]) != h.Sum64() {
			continue
		}
		if tx := le.Uint64(m[48:]); !found || tx > newest {
			found, newest, root, end = true, tx, le.Uint64(m[16:]), le.Uint64(m[40:])
		}
	}
	if !found {
		return 0, 0, damaged("no valid meta page")
	}
	return root, end, nil
}

func readAt(file io.ReaderAt, b []byte, off int64) error {
	_, err := file.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		return damaged("ends at byte %d", off)
	}
	return err
}

// bounds are the keys that a page may hold: from low, below high (nil: no bound).
type bounds struct{ low, high []byte }

func (b bounds) hold(key []byte) bool {
	return bytes.Compare(key, b.low) >= 0 && (b.high == nil || bytes.Compare(key, b.high) < 0)
}

// leafFunc checks one entry of a leaf.
type leafFunc func(isBucket bool, key, value []byte) error

// page checks the page id and all below it.
func (v *verifier) page(id uint64, within bounds, depth int, leaf leafFunc) error {
	if depth > maxDepth {
		return damaged("page %d: too deep", id)
	}
	if v.stop != nil && v.stop() != nil {
		return v.stop()
	}
	b, err := v.load(id)
	if err != nil {
		return err
	}
	return v.elements(id, b, within, depth, leaf)
}

// load reads the page and its overflow pages.
func (v *verifier) load(id uint64) ([]byte, error) {
	if id < 2 || id >= v.end || id > maxPage {
		return nil, damaged("page %d of %d", id, v.end)
	}
	b := make([]byte, pageSize)
	if err := readAt(v.file, b, int64(id)*pageSize); err != nil {
		return nil, err
	}
	more := uint64(binary.LittleEndian.Uint32(b[12:]))
	if binary.LittleEndian.Uint64(b) != id || id+more >= v.end || more > maxOverflow {
		return nil, damaged("head of page %d", id)
	}
	for p := id; p <= id+more; p++ {
		if _, twice := v.seen[p]; twice {
			return nil, damaged("page %d is used twice", p)
		}
		v.seen[p] = struct{}{}
	}
	if more > 0 {
		b = make([]byte, (1+more)*pageSize)
		if err := readAt(v.file, b, int64(id)*pageSize); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// elements checks the entries of a page, which begins at b and ends with it.
func (v *verifier) elements(id uint64, b []byte, within bounds, depth int, leaf leafFunc) error {
	flags, count := binary.LittleEndian.Uint16(b[8:]), int(binary.LittleEndian.Uint16(b[10:]))
	if headSize+count*elemSize > len(b) || flags != branchPage && flags != leafPage || flags == branchPage && count == 0 {
		return damaged("head of page %d", id)
	}
	elems := make([]element, count)
	for i := range elems {
		e, ok := elementAt(b, i, flags == leafPage)
		if !ok || !within.hold(e.key) || i > 0 && bytes.Compare(elems[i-1].key, e.key) >= 0 {
			return damaged("entry %d of page %d", i, id)
		}
		elems[i] = e
	}
	for i, e := range elems {
		if flags == leafPage {
			if err := leaf(e.bucket, e.key, e.value); err != nil {
				return err
			}
			continue
		}
		below := bounds{e.key, within.high}
		if i+1 < count {
			below.high = elems[i+1].key
		}
		if err := v.page(e.page, below, depth+1, leaf); err != nil {
			return err
		}
	}
	return nil
}

// element is one entry of a page: of a branch with a page, of a leaf with a value.
type element struct {
	key, value []byte
	bucket     bool
	page       uint64
}

// elementAt reads the head of entry i and cuts out its key and value.
func elementAt(b []byte, i int, leaf bool) (e element, ok bool) {
	le := binary.LittleEndian
	at := headSize + i*elemSize
	h := b[at : at+elemSize]
	if leaf {
		e.bucket = le.Uint32(h) == bucketFlag
		e.key, e.value, ok = cut(b, at, le.Uint32(h[4:]), le.Uint32(h[8:]), le.Uint32(h[12:]))
		return e, ok
	}
	e.page = le.Uint64(h[8:])
	e.key, _, ok = cut(b, at, le.Uint32(h), le.Uint32(h[4:]), 0)
	return e, ok
}

// cut returns key and value at pos behind the element that begins at at.
func cut(b []byte, at int, pos, ksize, vsize uint32) (key, value []byte, ok bool) {
	from := uint64(at) + uint64(pos)
	mid := from + uint64(ksize)
	to := mid + uint64(vsize)
	if to > uint64(len(b)) {
		return nil, nil, false
	}
	return b[from:mid], b[mid:to], true
}

// bucket checks an entry of the root: it must be one of our two buckets.
func (v *verifier) bucket(isBucket bool, key, value []byte) error {
	if !isBucket || len(value) < bucketSize {
		return damaged("table %q", key)
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return v.page(root, bounds{}, 0, v.entry)
	}
	if len(value) < bucketSize+headSize {
		return damaged("table %q", key)
	}
	return v.elements(0, value[bucketSize:], bounds{}, maxDepth, v.entry)
}

func (v *verifier) entry(isBucket bool, key, value []byte) error {
	if _, ok := unseal(key, value); !ok || isBucket {
		return damaged("checksum of key %x", key)
	}
	return nil
}
