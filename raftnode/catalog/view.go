package catalog

import (
	"bytes"
	"encoding/hex"
	"iter"
	"strings"

	"golang.org/x/text/unicode/norm"

	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// MaxVersions is how many versions of a file View.Versions returns.
const MaxVersions = 1000

// View is what can be asked of a state. What it returns is the caller's own, and
// outlives the Reader. A record that cannot be read ends the kv.Store's View with
// kv.ErrDamaged.
type View struct{ Reader kv.Reader }

func (v View) get(key []byte, to any) bool {
	b := v.Reader.Get(key)
	if b == nil {
		return false
	}
	decode(key, b, to)
	return true
}

// node returns where n is.
func (v View) node(n NodeID) (at node, ok bool) {
	if n == Root {
		return node{IsDir: true}, true
	}
	ok = v.get(nodeKey(n), &at)
	return at, ok
}

// resolve returns the node that is used instead of n, if n was never made.
func (v View) resolve(n NodeID) (NodeID, node, bool) {
	at, ok := v.node(n)
	if !ok {
		if b := v.Reader.Get(aliasKey(n)); len(b) == len(n) {
			n = NodeID(b)
			at, ok = v.node(n)
		}
	}
	return n, at, ok
}

// entryAt returns what has the name, or one that looks alike, in a directory.
func (v View) entryAt(dir NodeID, name string) (e Entry, ok bool) {
	ok = v.get(nameKey(dir, fold(name)), &e)
	return e, ok
}

// entryOf returns the entry of a node that is at at, without content.
func (v View) entryOf(n NodeID, at node) (Entry, bool) {
	if at.Removed != 0 {
		var r Removed
		ok := v.get(removedKey(at.Removed, n), &r)
		return r.Entry, ok
	}
	if e, ok := v.entryAt(at.Dir, at.Name); ok {
		return e, true
	}
	return Entry{IsDir: true}, n == Root
}

func (v View) content(e Entry) manifest.Content {
	var c manifest.Content
	if e.Size > 0 {
		v.get(contentKey(e.Node), &c)
	}
	return c
}

func (v View) whole(e Entry) Entry {
	if !e.IsDir {
		e.Content = v.content(e)
	}
	return e
}

// Lookup returns what has exactly this name in a directory.
func (v View) Lookup(dir NodeID, name string) (Entry, bool) {
	e, ok := v.entryAt(dir, name)
	if !ok || e.Name != name || name == "" {
		return Entry{}, false
	}
	return v.whole(e), true
}

// Stat returns what stands at a path of names joined by "/"; slashes at both ends
// do not matter, and "" is the root. ErrNotFound, ErrNotDirectory or ErrBadName.
func (v View) Stat(path string) (Entry, error) {
	e, _ := v.entryOf(Root, node{IsDir: true})
	path = strings.Trim(path, "/")
	if path == "" {
		return e, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return Entry{}, err
		}
		if !e.IsDir {
			return Entry{}, ErrNotDirectory
		}
		name = norm.NFC.String(name)
		next, ok := v.entryAt(e.Node, name)
		switch {
		case !ok || next.Name != name:
			return Entry{}, ErrNotFound
		}
		e = next
	}
	return v.whole(e), nil
}

// Node returns a file or directory that is neither removed itself nor inside a
// removed directory.
func (v View) Node(n NodeID) (Entry, bool) {
	n, at, ok := v.resolve(n)
	if !ok || !v.lives(n, at) {
		return Entry{}, false
	}
	e, ok := v.entryOf(n, at)
	return v.whole(e), ok
}

// lives reports whether a node, which is at at, is reachable from the root.
func (v View) lives(n NodeID, at node) bool {
	for n != Root {
		if at.Removed != 0 {
			return false
		}
		n = at.Dir
		var ok bool
		if at, ok = v.node(n); !ok {
			return false
		}
	}
	return true
}

// Path returns the path of a node, beginning with "/". It is false when the node
// or a directory above it is unknown; above a removed node it is the path it had.
func (v View) Path(n NodeID) (string, bool) {
	n, at, ok := v.resolve(n)
	if !ok {
		return "", false
	}
	if n == Root {
		return "/", true
	}
	path := ""
	for ; n != Root; n = at.Dir {
		if at, ok = v.node(n); !ok {
			return "", false
		}
		path = "/" + at.Name + path
	}
	return path, true
}

// List returns at most limit entries of a directory, in the order of their folded
// names, beginning behind the name after ("" for the first). Their Content has a
// Size only: a list of many small files would carry all their bytes.
func (v View) List(dir NodeID, after string, limit int) []Entry {
	dir, _, ok := v.resolve(dir)
	if !ok {
		return nil
	}
	var list []Entry
	prefix := nameKey(dir, "")
	// The root's own entry has the empty name; a zero byte is in no name.
	from := append(nameKey(dir, fold(after)), 0)
	for k, b := range v.Reader.Scan(prefix, from) {
		if len(list) >= limit {
			break
		}
		var e Entry
		decode(k, b, &e)
		e.Content.Size = e.Size
		list = append(list, e)
	}
	return list
}

// Versions returns the versions of a file, the newest first, at most MaxVersions.
func (v View) Versions(n NodeID) []Version {
	n, at, ok := v.resolve(n)
	if !ok || at.IsDir {
		return nil
	}
	e, ok := v.entryOf(n, at)
	if !ok {
		return nil
	}
	list := []Version{{ID: e.Version, Content: v.content(e), ModTime: e.ModTime, Author: e.Author, Time: e.Changed}}
	from := versionKey(n, e.Older-min(e.Older, MaxVersions-1))
	var older []Version
	for k, b := range v.Reader.Scan(versionsKey(n), from) {
		var old Version
		decode(k, b, &old)
		older = append(older, old)
	}
	for i := len(older) - 1; i >= 0; i-- {
		list = append(list, older[i])
	}
	return list
}

// Removed returns at most limit files and directories that can be restored, the
// latest first, beginning behind the row that has the cursor from ("" for the first).
func (v View) Removed(from string, limit int) []Removed {
	prefix := []byte{tableRemoved}
	start := prefix
	if b, err := hex.DecodeString(from); err == nil && from != "" {
		start = append(append(prefix[:1:1], b...), 0)
	}
	var list []Removed
	for k, b := range v.Reader.Scan(prefix, start) {
		if len(list) >= limit {
			break
		}
		var r Removed
		decode(k, b, &r)
		r.Entry.Content.Size = r.Entry.Size
		r.Cursor = hex.EncodeToString(k[1:])
		r.Path, _ = v.Path(r.Entry.Node)
		list = append(list, r)
	}
	return list
}

// Locks returns the locks in force on nodes that are there.
func (v View) Locks() []Lock {
	var list []Lock
	now := v.Time()
	for k, b := range v.Reader.Scan([]byte{tableLocks}, nil) {
		var l Lock
		if decode(k, b, &l); l.Expires <= now {
			continue
		}
		if at, ok := v.node(l.Node); ok && v.lives(l.Node, at) {
			l.Path, _ = v.Path(l.Node)
			list = append(list, l)
		}
	}
	return list
}

// Search returns at most limit files and directories whose names contain text,
// whatever the case, in no particular order. It reads all names.
func (v View) Search(text string, limit int) []Found {
	text = fold(norm.NFC.String(text))
	var list []Found
	if text == "" {
		return nil
	}
	for k, b := range v.Reader.Scan([]byte{tableNames}, nil) {
		if len(list) >= limit {
			break
		}
		var e Entry
		if !bytes.Contains(k[17:], []byte(text)) {
			continue
		}
		decode(k, b, &e)
		at, ok := v.node(e.Node)
		if !ok || !v.lives(e.Node, at) {
			continue // inside a removed directory
		}
		e.Content.Size = e.Size
		path, _ := v.Path(e.Node)
		list = append(list, Found{path, e})
	}
	return list
}

// Outcome returns what became of a write, as long as it is remembered.
func (v View) Outcome(id WriteID) (out Outcome, ok bool) {
	ok = v.get(writeKey(tableOutcomes, id), &out)
	return out, ok
}

// Decided reports whether a write has used its ID up.
func (v View) Decided(id WriteID) bool {
	return id.Seq < v.floor(id) || v.Reader.Get(writeKey(tableOutcomes, id)) != nil
}

// floor returns the number below which all writes of an incarnation are decided
// and forgotten.
func (v View) floor(id WriteID) (floor uint64) {
	v.get(incarnationKey(tableFloors, id), &floor)
	return floor
}

// Contents goes through every content that must be kept: of files, of their older
// versions and of what was removed. A content may come more than once.
func (v View) Contents() iter.Seq[manifest.Content] {
	return func(yield func(manifest.Content) bool) {
		for k, b := range v.Reader.Scan([]byte{tableContents}, nil) {
			var c manifest.Content
			if decode(k, b, &c); !yield(c) {
				return
			}
		}
		for k, b := range v.Reader.Scan([]byte{tableVersions}, nil) {
			var old Version
			if decode(k, b, &old); !yield(old.Content) {
				return
			}
		}
	}
}

// Stats counts what the space holds.
func (v View) Stats() Stats { return v.meta().Stats }

// Time returns the time of the catalog: the highest Write.Time applied.
func (v View) Time() int64 { return v.meta().Time }

func (v View) meta() (m meta) {
	v.get(metaKey(), &m)
	return m
}
