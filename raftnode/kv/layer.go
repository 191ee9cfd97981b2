package kv

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/tidwall/btree"
)

// changes are the pending writes of a layer: key to value, nil for a deleted key.
type changes = btree.Map[string, []byte]

// Layer is a Writer whose writes stay in memory above a Reader, which is never
// changed. It is as safe for concurrent use as a map: one writer or many readers.
type Layer struct {
	base    Reader
	changed *changes
}

var (
	_ Writer = (*Layer)(nil)
	_ Reader = Empty{}
)

// NewLayer returns a Layer without changes above base.
func NewLayer(base Reader) *Layer { return &Layer{base, new(changes)} }

// Over returns a layer with a copy of l's changes above another base. The copy is
// made as either side is written to, so it costs nothing by itself.
func (l *Layer) Over(base Reader) *Layer { return &Layer{base, l.changed.Copy()} }

// Len returns how many keys the layer changes.
func (l *Layer) Len() int { return l.changed.Len() }

// Get implements Reader.
func (l *Layer) Get(key []byte) []byte {
	if v, ok := l.changed.Get(string(key)); ok {
		return v
	}
	return l.base.Get(key)
}

// Put implements Writer.
func (l *Layer) Put(key, value []byte) {
	if len(key) == 0 || len(key) > MaxKey || len(value) > MaxValue {
		panic(fmt.Sprintf("kv: put of %d bytes under a key of %d", len(value), len(key)))
	}
	l.changed.Set(string(key), append(make([]byte, 0, len(value)), value...))
}

// Delete implements Writer.
func (l *Layer) Delete(key []byte) { l.changed.Set(string(key), nil) }

// Scan implements Reader: it merges the changes into the scan of the base.
func (l *Layer) Scan(prefix, from []byte) iter.Seq2[[]byte, []byte] {
	if l.changed.Len() == 0 {
		return l.base.Scan(prefix, from)
	}
	return func(yield func(k, v []byte) bool) {
		c := l.cursor(prefix, from)
		for k, v := range l.base.Scan(prefix, from) {
			if !c.upTo(string(k), yield) {
				return
			}
			if c.at(string(k)) {
				continue // the change stands in its place, and comes with the next key
			}
			if !yield(k, v) {
				return
			}
		}
		c.rest(yield)
	}
}

// cursor walks the changes under one prefix.
type cursor struct {
	it     btree.MapIter[string, []byte]
	prefix []byte
	ok     bool
}

func (l *Layer) cursor(prefix, from []byte) *cursor {
	c := &cursor{it: l.changed.Iter(), prefix: prefix}
	start := prefix
	if bytes.Compare(from, start) > 0 {
		start = from
	}
	c.ok = c.it.Seek(string(start))
	return c
}

func (c *cursor) at(key string) bool { return c.ok && c.it.Key() == key }

// upTo yields the changes below key; false when the scan was ended.
func (c *cursor) upTo(key string, yield func(k, v []byte) bool) bool {
	for c.ok && c.it.Key() < key {
		if !c.emit(yield) {
			return false
		}
	}
	return true
}

// rest yields the remaining changes under the prefix.
func (c *cursor) rest(yield func(k, v []byte) bool) {
	for c.ok && hasPrefix(c.it.Key(), c.prefix) && c.emit(yield) {
	}
}

func (c *cursor) emit(yield func(k, v []byte) bool) bool {
	k, v := c.it.Key(), c.it.Value()
	c.ok = c.it.Next()
	return v == nil || yield([]byte(k), v)
}

func hasPrefix(s string, prefix []byte) bool {
	return len(s) >= len(prefix) && s[:len(prefix)] == string(prefix)
}

// Empty is the Reader of a state without keys.
type Empty struct{}

// Get implements Reader.
func (Empty) Get([]byte) []byte { return nil }

// Scan implements Reader.
func (Empty) Scan(_, _ []byte) iter.Seq2[[]byte, []byte] {
	return func(func(k, v []byte) bool) {}
}
