package catalog

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxBeside is how many numbered names are tried.
const maxBeside = 1000

// spot is a directory that is there, or can be made again: a directory that was
// removed while somebody put something into it is made anew, without what was
// removed with it.
type spot struct {
	dir     NodeID
	missing []string // to make below dir, one in the other
	depth   int      // names in its path
	moved   bool     // a file has the name of a directory: dir is as near as can be
}

// spotOf finds the place of directory d; NotFound or NotDirectory.
func (t *txn) spotOf(d NodeID) (spot, Status) {
	n, at, ok := t.resolve(d)
	if !ok {
		return spot{}, NotFound
	}
	if !at.IsDir {
		return spot{}, NotDirectory
	}
	var names []string // from d upwards
	gone := -1         // the highest of them that was removed
	top := n           // where that one was
	for i := 0; n != Root; i++ {
		names = append(names, at.Name)
		if at.Removed != 0 {
			gone, top = i, at.Dir
		}
		n = at.Dir
		if at, ok = t.node(n); !ok {
			return spot{}, NotFound
		}
	}
	s := spot{dir: top, depth: len(names)}
	for i := gone; i >= 0; i-- {
		e, taken := t.entryAt(s.dir, names[i])
		switch {
		case !taken:
			for ; i >= 0; i-- {
				s.missing = append(s.missing, names[i])
			}
		case !e.IsDir:
			s.moved, s.depth = true, len(names)-i-1
			return s, 0
		default:
			s.dir = e.Node
		}
	}
	return s, 0
}

// make makes what is missing and returns the directory.
func (t *txn) make(s spot) NodeID {
	dir := s.dir
	for i, name := range s.missing {
		made := NodeOf(t.w.ID)
		sum := sha256.Sum256(append(made[:], byte(i)))
		e := t.born(NodeID(sum[:16]), dir, name)
		e.IsDir, e.ModTime = true, t.when
		t.attach(e)
		t.meta.Stats.Dirs++
		dir = e.Node
	}
	return dir
}

// free returns a name for something that is to be called name in dir: that name,
// or one beside it. If same accepts what has such a name already, that is returned.
func (t *txn) free(dir NodeID, name string, same func(Entry) bool) (string, *Entry) {
	try := name
	for i := 1; ; i++ {
		e, taken := t.entryAt(dir, try)
		if !taken {
			return try, nil
		}
		if same != nil && e.Name == try && same(e) {
			return try, &e
		}
		if i > maxBeside {
			sum := NodeOf(t.w.ID)
			return cutName(name, MaxName-33) + " " + hex.EncodeToString(sum[:]), nil
		}
		try = besideName(name, t.w.Where, t.when, i)
	}
}

// attach writes an entry at its place, which is free or its own.
func (t *txn) attach(e Entry) {
	t.tx.Put(nodeKey(e.Node), encode(node{Dir: e.Dir, Name: e.Name, IsDir: e.IsDir}))
	t.rewrite(e)
}

// rewrite writes an entry that stays where it is.
func (t *txn) rewrite(e Entry) { t.tx.Put(nameKey(e.Dir, fold(e.Name)), encode(e)) }

// takeAway removes an entry, and with it what is in it. It stays restorable.
func (t *txn) takeAway(e Entry) {
	t.tx.Delete(nameKey(e.Dir, fold(e.Name)))
	t.count(e, -1)
	t.meta.Stats.Kept += e.Size
	t.dropLock(e.Node)
	t.putRemoved(Removed{Entry: e})
}

func (t *txn) putRemoved(r Removed) {
	r.Time, r.By = t.meta.Time, t.w.Author
	e := r.Entry
	t.tx.Put(nodeKey(e.Node), encode(node{Dir: e.Dir, Name: e.Name, IsDir: e.IsDir, Removed: r.Time}))
	key := removedKey(r.Time, e.Node)
	t.tx.Put(key, encode(r))
	t.expire(r.Time+Keep, key)
}

// bringBack puts a node that was removed, or is inside a removed directory, under
// name in a place. It returns the entry and whether it has that name there.
func (t *txn) bringBack(e Entry, at node, s spot, name string) (Entry, bool) {
	if at.Removed != 0 {
		t.tx.Delete(removedKey(at.Removed, e.Node))
		t.count(e, +1)
		t.meta.Stats.Kept -= e.Size
	} else {
		t.tx.Delete(nameKey(at.Dir, fold(at.Name)))
	}
	e.Dir = t.make(s)
	e.Name, _ = t.free(e.Dir, name, nil)
	e.Placed = t.w.ID
	t.attach(e)
	return e, e.Name == name && !s.moved
}

// oldPlace returns where a node that is gone would come back.
func (t *txn) oldPlace(at node) spot {
	s, status := t.spotOf(at.Dir)
	if status != 0 {
		return spot{dir: Root, moved: true}
	}
	return s
}

func (t *txn) count(e Entry, by int64) {
	if e.IsDir {
		t.meta.Stats.Dirs += by
		return
	}
	t.meta.Stats.Files += by
	t.meta.Stats.Bytes += by * e.Size
}

// inside reports whether n is top or below it.
func (t *txn) inside(n, top NodeID) bool {
	for n != top {
		at, ok := t.node(n)
		if !ok || n == Root {
			return false
		}
		n = at.Dir
	}
	return true
}

// landing says where the content of a write is, if not in a version of its own of
// the node that the write named or made.
type landing struct {
	Node    NodeID  `cbor:"1,keyasint"`
	Version WriteID `cbor:"2,keyasint"`
}

// land remembers where this write's content is, for later writes that build on it.
func (t *txn) land(e Entry) {
	key := writeKey(tableLanded, t.w.ID)
	t.tx.Put(key, encode(landing{e.Node, e.Version}))
	t.expire(t.meta.Time+Keep, key)
}

// useInstead remembers that the node which this write would have made is e.
func (t *txn) useInstead(e Entry) {
	made := NodeOf(t.w.ID)
	if made == e.Node {
		return
	}
	key := aliasKey(made)
	t.tx.Put(key, e.Node[:])
	t.expire(t.meta.Time+Keep, key)
	t.land(e)
}

// meant returns the node that the op means: Node, or what has the name when there
// is none; and if Node has another version than the author saw, the node where
// that version landed. There t.base is what the version now is.
func (t *txn) meant() (e Entry, at node, ok bool) {
	n := t.op.Node
	if n == Root && t.op.Name != "" {
		if e, ok = t.entryAt(t.op.Dir, t.op.Name); !ok || e.Name != t.op.Name {
			return Entry{}, node{}, false
		}
		n = e.Node
	}
	n, at, ok = t.resolve(n)
	if ok {
		e, ok = t.entryOf(n, at)
	}
	if ok && e.Version == t.op.Base || t.op.Base.IsZero() || t.op.Kind == Move {
		return e, at, ok
	}
	landed := landing{NodeOf(t.op.Base), t.op.Base}
	t.get(writeKey(tableLanded, t.op.Base), &landed)
	if there, known := t.node(landed.Node); known && !there.IsDir {
		if other, found := t.entryOf(landed.Node, there); found {
			t.base = landed.Version
			return other, there, true
		}
	}
	return e, at, ok
}
