package catalog

import (
	"encoding/binary"
	"slices"
)

// purgeSteps bounds how many records one write purges: nobody should wait long for
// a write because somebody removed a large directory a month ago.
const purgeSteps = 32

// purge drops what has been kept long enough, a few records at a time.
func (t *txn) purge() {
	if t.meta.Next != 0 && t.meta.Next <= t.meta.Time {
		t.purgeExpired()
	}
	if t.meta.Doomed > 0 {
		t.purgeDoomed()
	}
}

func (t *txn) purgeExpired() {
	t.meta.Next = 0
	var due [][]byte
	for k := range t.tx.Scan([]byte{tableExpiry}, nil) {
		at := int64(binary.BigEndian.Uint64(k[1:]))
		if at > t.meta.Time || len(due) == purgeSteps {
			t.meta.Next = at
			break
		}
		due = append(due, slices.Clone(k))
	}
	for _, k := range due {
		t.tx.Delete(k)
		t.drop(k[9:])
	}
}

// drop ends the record at key, whose time is over.
func (t *txn) drop(key []byte) {
	switch key[0] {
	case tableVersions:
		var v Version
		if t.get(key, &v) {
			t.meta.Stats.Kept -= v.Content.Size
			t.tx.Delete(key)
		}
	case tableRemoved:
		var r Removed
		if t.get(key, &r) {
			t.tx.Delete(key)
			t.dropRemoved(r.Entry)
		}
	case tableLocks:
		if l, inForce := t.lockOn(NodeID(key[1:])); !inForce && l.Token != "" {
			t.dropLock(l.Node) // not one that was refreshed since
		}
	default:
		t.tx.Delete(key)
	}
}

// dropRemoved ends a removed node for good. A directory is emptied first, step by step.
func (t *txn) dropRemoved(e Entry) {
	if e.IsDir {
		t.tx.Put(doomedKey(e.Node), nil)
		t.meta.Doomed++
		return
	}
	t.meta.Stats.Kept -= e.Size
	t.dropFile(e)
}

// dropFile ends a file's records, but for its name. Its older versions have dates of their own.
func (t *txn) dropFile(e Entry) {
	t.tx.Delete(contentKey(e.Node))
	t.tx.Delete(nodeKey(e.Node))
	t.dropLock(e.Node)
}

// purgeDoomed takes some entries out of a directory that ends.
func (t *txn) purgeDoomed() {
	var dir NodeID
	for k := range t.tx.Scan([]byte{tableDoomed}, nil) {
		dir = NodeID(k[1:])
		break
	}
	var inside []Entry
	for k, b := range t.tx.Scan(nameKey(dir, ""), nil) {
		if len(inside) == purgeSteps {
			break
		}
		var e Entry
		decode(k, b, &e)
		inside = append(inside, e)
	}
	for _, e := range inside {
		t.tx.Delete(nameKey(dir, fold(e.Name)))
		t.count(e, -1)
		if !e.IsDir {
			t.dropFile(e)
			continue
		}
		t.tx.Put(nodeKey(e.Node), encode(node{Dir: dir, Name: e.Name, IsDir: true, Removed: t.meta.Time}))
		t.dropRemoved(e)
	}
	if len(inside) < purgeSteps {
		t.tx.Delete(doomedKey(dir))
		t.tx.Delete(nodeKey(dir))
		t.dropLock(dir)
		t.meta.Doomed--
	}
}
