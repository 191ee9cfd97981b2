package catalog

import (
	"encoding/binary"
	"fmt"
	"slices"

	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

const (
	day = int64(24 * 60 * 60 * 1000)
	// Keep is for how long old versions and removed files stay: 30 days in
	// milliseconds of the catalog's time.
	Keep = 30 * day
	// maxAhead is how far one write may move the catalog's time on: a box whose
	// clock is wrong must not purge what others removed yesterday.
	maxAhead = day
	// forgetSteps bounds how many outcomes one write makes forgotten.
	forgetSteps = 256
)

// Apply decides one write that stands at index in the log, and returns what became
// of it. A write whose ID was decided before changes nothing and has the outcome it
// had then. Holders tells whether enough replicas hold the chunks of the write; nil
// says that it does not matter here. An error means a write that this program does
// not understand: the shard must stop.
func Apply(tx kv.Writer, index uint64, w Write, holders func() bool) (Outcome, error) {
	t := &txn{View: View{tx}, tx: tx, w: &w, op: &w.Op, base: w.Op.Base}
	if t.low = t.floor(w.ID); w.ID.Seq < t.low {
		return Outcome{Status: Stale, Index: index}, nil
	}
	if out, ok := t.Outcome(w.ID); ok {
		return out, nil
	}
	for _, id := range w.After {
		if !t.Decided(id) {
			return Outcome{Status: Unresolved, Index: index}, nil
		}
	}
	if c := w.Op.Content; holders != nil && c != nil && len(c.Chunks) > 0 && !holders() {
		return Outcome{Status: NoHolders, Index: index}, nil
	}
	t.meta = t.View.meta()
	t.tick()
	out, err := t.run()
	if err != nil {
		return Outcome{}, fmt.Errorf("apply at index %d: %w", index, err)
	}
	out.Index = index
	t.remember(out)
	t.purge()
	tx.Put(metaKey(), encode(t.meta))
	return out, nil
}

// txn is one write on its way. Its methods look first and write last: a refused
// write leaves nothing but its outcome and, for a Put, its bytes among the removed.
type txn struct {
	View
	tx   kv.Writer
	w    *Write
	op   *Op
	meta meta
	when int64   // w.Time, unless that is too far ahead
	low  uint64  // the floor of the write's incarnation
	base WriteID // op.Base, or the version that has its bytes now (meant)
}

// tick moves the catalog's time on.
func (t *txn) tick() {
	t.when = t.w.Time
	if t.meta.Time > 0 {
		t.when = min(t.when, t.meta.Time+maxAhead)
	}
	t.meta.Time = max(t.meta.Time, t.when)
}

func (t *txn) run() (Outcome, error) {
	switch t.op.Kind {
	case Put:
		return t.put(), nil
	case Mkdir:
		return t.mkdir(), nil
	case Move:
		return t.move(), nil
	case Remove:
		return t.remove(), nil
	case Restore:
		return t.restore(), nil
	case SetProps:
		return t.setProps(), nil
	case SetLock:
		return t.setLock(), nil
	case Unlock:
		return t.unlock(), nil
	}
	return Outcome{}, fmt.Errorf("%w: unknown kind %d, from a newer version", ErrInvalid, t.op.Kind)
}

// remember keeps the outcome, and forgets those that nobody will ask for.
func (t *txn) remember(out Outcome) {
	t.tx.Put(writeKey(tableOutcomes, t.w.ID), encode(out))
	if t.w.Floor <= t.low {
		return
	}
	first, end := t.w.ID, t.w.ID
	first.Seq, end.Seq = t.low, t.w.Floor
	old, reached := t.decidedBetween(first, end)
	for _, k := range old {
		t.tx.Delete(k)
	}
	t.tx.Put(incarnationKey(tableFloors, t.w.ID), encode(reached))
}

// decidedBetween returns the keys of at most forgetSteps outcomes of one
// incarnation from first on and below end, and the number that this reaches.
func (t *txn) decidedBetween(first, end WriteID) (keys [][]byte, reached uint64) {
	stop := string(writeKey(tableOutcomes, end))
	for k := range t.tx.Scan(incarnationKey(tableOutcomes, first), writeKey(tableOutcomes, first)) {
		if string(k) >= stop {
			break
		}
		if len(keys) == forgetSteps {
			return keys, binary.BigEndian.Uint64(k[len(k)-8:]) // the next write goes on
		}
		keys = append(keys, slices.Clone(k))
	}
	return keys, end.Seq
}

// at tells where an entry is, as the outcome of a write.
func (t *txn) at(status Status, e Entry) Outcome {
	return Outcome{Status: status, Node: e.Node, Version: e.Version, Dir: e.Dir, Name: e.Name}
}

// refuse changes nothing, but keeps the bytes of a Put among the removed: its
// author may have been told long ago, by a box that was apart, that they are kept.
func (t *txn) refuse(status Status) Outcome {
	if t.op.Kind != Put || t.op.Content.Size == 0 {
		return Outcome{Status: status}
	}
	e := t.fresh(t.op.Dir, t.op.Name)
	t.putContent(e.Node, *t.op.Content)
	t.meta.Stats.Kept += e.Size
	t.putRemoved(Removed{Entry: e, Refused: status})
	return Outcome{Status: status, Node: e.Node}
}

// fresh is the entry of the file that a Put makes.
func (t *txn) fresh(dir NodeID, name string) Entry {
	e := t.born(NodeOf(t.w.ID), dir, name)
	e.Size, e.Props = t.op.Content.Size, t.op.Props
	return e
}

// born is the entry of a node that this write makes.
func (t *txn) born(n, dir NodeID, name string) Entry {
	return Entry{Node: n, Dir: dir, Name: name, ModTime: t.op.ModTime, Version: t.w.ID, Placed: t.w.ID,
		Author: t.w.Author, Created: t.when, Changed: t.when}
}

func (t *txn) putContent(n NodeID, c manifest.Content) {
	if c.Size > 0 {
		t.tx.Put(contentKey(n), encode(c))
	} else {
		t.tx.Delete(contentKey(n))
	}
}

// expire has purge look at a record when its time is over.
func (t *txn) expire(at int64, key []byte) {
	t.tx.Put(expiryKey(at, key), nil)
	if t.meta.Next == 0 || at < t.meta.Next {
		t.meta.Next = at
	}
}
