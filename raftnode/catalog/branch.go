package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"redhen/provision/ident"
)

// Hand is who brings a branch home.
type Hand struct {
	Box ident.BoxID
	// Inc is the incarnation of the writes whose own IDs the branch does not know any
	// more: always the same for one branch, so that the same write has the same ID.
	Inc uint64
	// House names the house of a box, for what is kept beside. It may be empty.
	House func(ident.BoxID) string
	Now   int64 // Unix milliseconds
}

// Branch yields the writes that bring what one state, mine, has and another, theirs,
// has not, when both went on from one state without each other. They are found by
// comparing the whole states, by write ID, as the log may be cut long since: versions
// and directories that were made, places that changed, what was removed. A write goes
// after those that it builds on, and names them. Applied to theirs they obey the table
// of conflicts, each once; after all of them nothing is left to yield. Of a place that
// one side changed and the other removed, the file comes back: which was first cannot
// be told. Locks are left behind, and removals that mine has forgotten after 30 days.
func Branch(mine, theirs View, hand Hand, yield func(Write) bool) {
	b := &branch{mine: mine, theirs: theirs, hand: hand, yield: yield, dirs: map[NodeID]dirRef{}, placed: map[NodeID][]WriteID{}}
	b.living(Root)
	b.removed()
}

// branch is one comparison on its way.
type branch struct {
	mine, theirs View
	hand         Hand
	yield        func(Write) bool
	ended        bool
	dirs         map[NodeID]dirRef
	placed       map[NodeID][]WriteID // what moved or removed a node of theirs; an entry for each that was looked at
}

// dirRef is a directory of mine as a write must name it, and what must come before.
type dirRef struct {
	node  NodeID
	after []WriteID
}

// made is the ID of a write of which only its effect on a node is known.
func (b *branch) made(what string, n NodeID) WriteID {
	sum := sha256.Sum256(append([]byte(what), n[:]...))
	return WriteID{Box: b.hand.Box, Inc: b.hand.Inc, Seq: binary.BigEndian.Uint64(sum[:]) | 1}
}

// emit yields a write that theirs has not decided, and returns its ID for what comes after.
func (b *branch) emit(w Write) []WriteID {
	if b.theirs.Decided(w.ID) {
		return nil
	}
	if w.Time = max(w.Time, 0); w.Time == 0 {
		w.Time = b.hand.Now
	}
	w.Where = b.hand.House(w.ID.Box)
	w.After = slices.CompactFunc(slices.SortedFunc(slices.Values(w.After), WriteID.Compare), func(x, y WriteID) bool { return x == y })
	w.After = w.After[max(0, len(w.After)-MaxAfter):]
	if !b.ended {
		b.ended = !b.yield(w)
	}
	return []WriteID{w.ID}
}

// living goes through what is in a directory of mine.
func (b *branch) living(dir NodeID) {
	for _, e := range b.in(dir) {
		if b.ended {
			return
		}
		n, at, known := b.theirs.resolve(e.Node)
		switch {
		case known:
			b.place(n)
			te, _ := b.theirs.entryOf(n, at)
			b.edits(e, n, te)
			b.props(e, n, te)
		case e.IsDir:
			if !b.theirs.Decided(e.Version) {
				b.dir(e.Node)
			}
		default:
			b.newFile(e)
		}
		if e.IsDir {
			b.living(e.Node)
		}
	}
}

// in returns what is in a directory of mine, without contents.
func (b *branch) in(dir NodeID) (list []Entry) {
	for k, v := range b.mine.Reader.Scan(nameKey(dir, ""), nil) {
		var e Entry
		if decode(k, v, &e); e.Name != "" {
			list = append(list, e)
		}
	}
	return list
}

// dir returns a directory of mine as theirs knows it; one that it does not know is made.
func (b *branch) dir(n NodeID) dirRef {
	if ref, ok := b.dirs[n]; ok || n == Root {
		return ref
	}
	if there, at, ok := b.theirs.resolve(n); ok && at.IsDir {
		b.dirs[n] = dirRef{node: there}
		return b.dirs[n]
	}
	at, ok := b.mine.node(n)
	e, found := b.mine.entryOf(n, at)
	if !ok || !found {
		return dirRef{} // as near as can be
	}
	id := e.Version
	if NodeOf(id) != n { // made on the way to something else
		id = b.made("directory", n)
	}
	up := b.dir(at.Dir)
	ref := dirRef{node: NodeOf(id)}
	ref.after = b.emit(Write{ID: id, Author: e.Author, Time: e.Created, After: slices.Concat(up.after, b.free(up.node, e.Name)),
		Op: Op{Kind: Mkdir, Dir: up.node, Name: e.Name, Props: e.Props}})
	b.dirs[n] = ref
	return ref
}

// free has what theirs has under a name go away first, if mine moved or removed it.
func (b *branch) free(dir NodeID, name string) []WriteID {
	x, taken := b.theirs.entryAt(dir, name)
	if !taken {
		return nil
	}
	return b.place(x.Node)
}

// place brings home that mine moved, restored or removed a node that theirs has.
func (b *branch) place(n NodeID) []WriteID {
	if ids, seen := b.placed[n]; seen {
		return ids // nil for one that is being looked at: names may go round
	}
	b.placed[n] = nil
	at, ok := b.theirs.node(n)
	te, found := b.theirs.entryOf(n, at)
	if !ok || !found {
		return nil
	}
	m, mat, ok := b.mine.resolve(n)
	if !ok || !b.mine.lives(m, mat) {
		b.placed[n] = b.takeAway(m, mat, ok, n, at, te)
	} else if e, found := b.mine.entryOf(m, mat); found && !b.theirs.Decided(e.Placed) {
		b.placed[n] = b.move(e, n, at, te)
	}
	return b.placed[n]
}

// move brings home another place. Where theirs was moved too, theirs stands.
func (b *branch) move(e Entry, n NodeID, at node, te Entry) []WriteID {
	to := b.dir(e.Dir)
	lives := b.theirs.lives(n, at)
	if lives && (te.Dir == to.node && te.Name == e.Name || !b.mine.Decided(te.Placed)) {
		return nil
	}
	w := Write{ID: b.placing(e, n), Author: e.Author, After: slices.Concat(to.after, b.free(to.node, e.Name)),
		Op: Op{Kind: Restore, Node: n, ToDir: to.node, ToName: e.Name}}
	if lives {
		w.Op.Kind, w.Op.Dir, w.Op.Name, w.Op.Base = Move, te.Dir, te.Name, te.Placed
	}
	return b.emit(w)
}

// placing is the ID of what put an entry of mine where it is. An edit that brought its file
// back needs its own for the bytes.
func (b *branch) placing(e Entry, n NodeID) WriteID {
	list, _ := b.fresh(e)
	if slices.ContainsFunc(list, func(v Version) bool { return v.ID == e.Placed }) {
		return b.made("place", n)
	}
	return e.Placed
}

// takeAway brings home a removal: of what theirs did not change since. What was changed
// in it before comes home first.
func (b *branch) takeAway(m NodeID, mat node, known bool, n NodeID, at node, te Entry) []WriteID {
	if !known || !b.theirs.lives(n, at) || b.theirs.Decided(b.made("removal", n)) {
		return nil
	}
	if mat.Removed == 0 { // it went with its directory, which is looked at on its own
		return nil
	}
	w := Write{ID: b.made("removal", n), Op: Op{Kind: Remove, Dir: te.Dir, Name: te.Name, Node: n, Base: te.Version}}
	changed := !b.mine.Decided(te.Placed) || !b.mine.Decided(te.Version)
	var r Removed
	if b.mine.get(removedKey(mat.Removed, m), &r) {
		w.Author, w.Time = r.By, r.Time
		if te.IsDir {
			w.After = b.gone(m)
		} else if w.After = b.edits(r.Entry, n, te); len(w.After) > 0 {
			w.Op.Base, changed = r.Entry.Version, false
		}
	}
	if changed {
		return nil
	}
	return b.emit(w)
}

// gone brings home what was changed in a directory before it was removed: one after
// the other, so that the removal comes after all.
func (b *branch) gone(dir NodeID) (last []WriteID) {
	for _, e := range b.in(dir) {
		n, at, known := b.theirs.resolve(e.Node)
		var ids []WriteID
		switch {
		case e.IsDir:
			ids = b.gone(e.Node)
		case !known || !b.theirs.lives(n, at):
			b.asRemoved(e)
		default:
			te, _ := b.theirs.entryOf(n, at)
			ids = b.edits(e, n, te, last...)
		}
		if len(ids) > 0 {
			last = ids
		}
	}
	return last
}

// removed goes through what mine keeps among the removed.
func (b *branch) removed() {
	for k, v := range b.mine.Reader.Scan([]byte{tableRemoved}, nil) {
		if b.ended {
			return
		}
		var r Removed
		decode(k, v, &r)
		n, at, known := b.theirs.resolve(r.Entry.Node)
		switch {
		case r.Refused == 0 && known && b.theirs.lives(n, at):
			b.place(n)
		case r.Entry.IsDir:
			b.gone(r.Entry.Node)
		default:
			b.asRemoved(r.Entry)
		}
	}
}

// fresh returns the versions of a file of mine that theirs has not decided, the oldest
// first, and the one before them.
func (b *branch) fresh(e Entry) (list []Version, before WriteID) {
	all := []Version{}
	for k, v := range b.mine.Reader.Scan(versionsKey(e.Node), nil) {
		var old Version
		decode(k, v, &old)
		all = append(all, old)
	}
	all = append(all, Version{ID: e.Version, Content: b.mine.content(e), ModTime: e.ModTime, Author: e.Author, Time: e.Changed})
	for _, v := range all {
		switch {
		case !b.theirs.Decided(v.ID):
			list = append(list, v)
		case len(list) == 0:
			before = v.ID
		}
	}
	return list, before
}

// newFile brings home a file that theirs never had.
func (b *branch) newFile(e Entry) {
	list, _ := b.fresh(e)
	if len(list) == 0 {
		return
	}
	dir := b.dir(e.Dir)
	node, base, after := Root, WriteID{}, slices.Concat(dir.after, b.free(dir.node, e.Name))
	for i, v := range list {
		w := version(v, Op{Dir: dir.node, Name: e.Name, Node: node, Base: base})
		if w.After = after; i == len(list)-1 {
			w.Op.Props = e.Props
		}
		after = b.emit(w)
		if base = v.ID; node == Root {
			node = NodeOf(v.ID)
		}
	}
}

// edits brings home the versions of a file that theirs has as n, and returns the last.
func (b *branch) edits(e Entry, n NodeID, te Entry, after ...WriteID) []WriteID {
	if e.IsDir || te.IsDir {
		return nil
	}
	list, base := b.fresh(e)
	if b.mine.Decided(te.Version) {
		base = te.Version // theirs is as it was
	}
	var last []WriteID
	for i, v := range list {
		w := version(v, Op{Dir: te.Dir, Name: te.Name, Node: n, Base: base})
		if w.After = after; i == len(list)-1 {
			w.Op.Props = e.Props
		}
		after, base = b.emit(w), v.ID
		last = after
	}
	return last
}

// version is the write that makes a version again.
func version(v Version, op Op) Write {
	op.Kind, op.Content, op.ModTime = Put, &v.Content, v.ModTime
	return Write{ID: v.ID, Author: v.Author, Time: v.Time, Op: op}
}

// asRemoved brings home bytes that were removed or refused: they are kept among the
// removed there too, and touch nothing else.
func (b *branch) asRemoved(e Entry) {
	list, _ := b.fresh(e)
	var dir NodeID
	if n, at, ok := b.theirs.resolve(e.Dir); ok && at.IsDir {
		dir = n
	}
	for _, v := range list {
		if v.Content.Size > 0 {
			b.emit(version(v, Op{Dir: dir, Name: e.Name, If: Condition{Match: &v.ID}}))
		}
	}
}

// props brings home properties that theirs has not. Of two values theirs stays.
func (b *branch) props(e Entry, n NodeID, te Entry) {
	id := b.made("properties", n)
	if !b.theirs.Decided(e.Version) || b.theirs.Decided(id) {
		return
	}
	all := map[string][]byte{}
	maps.Copy(all, e.Props)
	maps.Copy(all, te.Props)
	if len(all) > len(te.Props) {
		b.emit(Write{ID: id, Author: e.Author, Op: Op{Kind: SetProps, Dir: te.Dir, Name: te.Name, Node: n, Base: te.Version, Props: all}})
	}
}
