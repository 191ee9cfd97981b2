package catalog

import "redhen/raftnode/manifest"

// put makes a file or gives it new content.
func (t *txn) put() Outcome {
	if t.op.Node == Root {
		return t.putNew()
	}
	e, at, ok := t.meant()
	if !ok {
		return t.putNew() // purged, or its making was refused
	}
	there := t.lives(e.Node, at)
	same := e.Size == t.op.Content.Size && !e.IsDir && t.content(e).Equal(*t.op.Content)
	switch {
	case e.IsDir:
		return t.refuse(IsDirectory)
	case there && t.op.If.Absent, t.op.If.Match != nil && (!there || !t.matches(e)):
		return t.refuse(Precondition)
	case there && t.locked(e.Node):
		return t.refuse(Locked)
	case e.Version != t.base && !same:
		return t.putBeside(e, at)
	}
	status := Done
	if !there {
		var exact bool
		if e, exact = t.bringBack(e, at, t.oldPlace(at), e.Name); !exact {
			status = Beside
		}
	}
	e = t.edit(e, *t.op.Content, t.op.ModTime, t.op.Props)
	if n, _, _ := t.resolve(t.op.Node); n != e.Node {
		status = Beside
	}
	if e.Node != t.op.Node || e.Version != t.w.ID {
		t.land(e)
	}
	return t.at(status, e)
}

// putNew makes a file where the author saw none.
func (t *txn) putNew() Outcome {
	s, status := t.spotOf(t.op.Dir)
	switch {
	case status != 0:
		return t.refuse(status)
	case s.depth >= MaxDepth:
		return t.refuse(TooMany)
	case t.op.If.Match != nil:
		return t.refuse(Precondition)
	case t.locked(s.dir):
		return t.refuse(Locked)
	}
	if _, taken := t.entryAt(s.dir, t.op.Name); taken && t.op.If.Absent && len(s.missing) == 0 {
		return t.refuse(Precondition)
	}
	return t.place(s, t.op.Name)
}

// putBeside keeps a content beside the file that has changed since its author
// looked, or that is gone meanwhile.
func (t *txn) putBeside(e Entry, at node) Outcome {
	out := t.place(t.oldPlace(at), e.Name)
	out.Status = Beside
	return out
}

// place makes a new file in a place, under the name or one beside it. A file with
// the same name and bytes is that file.
func (t *txn) place(s spot, name string) Outcome {
	dir := t.make(s)
	got, same := t.free(dir, name, func(e Entry) bool {
		return !e.IsDir && e.Size == t.op.Content.Size && t.content(e).Equal(*t.op.Content)
	})
	status := Done
	if got != name || s.moved {
		status = Beside
	}
	if same != nil {
		t.useInstead(*same)
		return t.at(status, *same)
	}
	e := t.fresh(dir, got)
	t.putContent(e.Node, *t.op.Content)
	t.count(e, +1)
	t.attach(e)
	return t.at(status, e)
}

// edit gives a file that is there a content and keeps the one it had. The same
// bytes again are no new version.
func (t *txn) edit(e Entry, c manifest.Content, modTime int64, props map[string][]byte) Entry {
	old := t.content(e)
	e.ModTime = modTime
	if len(props) > 0 {
		e.Props = props
	}
	if !old.Equal(c) {
		t.archive(&e, old)
		t.putContent(e.Node, c)
		t.meta.Stats.Bytes += c.Size - e.Size
		e.Size, e.Version, e.Author, e.Changed = c.Size, t.w.ID, t.w.Author, t.when
	}
	t.rewrite(e)
	return e
}

// archive keeps the content of an entry as an older version. An empty one is not worth it.
func (t *txn) archive(e *Entry, c manifest.Content) {
	if c.Size == 0 {
		return
	}
	until := t.meta.Time + Keep
	key := versionKey(e.Node, e.Older)
	t.tx.Put(key, encode(Version{ID: e.Version, Content: c, ModTime: e.ModTime, Author: e.Author, Time: e.Changed, Until: until}))
	t.expire(until, key)
	e.Older++
	t.meta.Stats.Kept += c.Size
}

// restore brings back a node, an older version, or both.
func (t *txn) restore() Outcome {
	n, at, ok := t.resolve(t.op.Node)
	e, known := t.entryOf(n, at)
	if !ok || !known {
		return Outcome{Status: NotFound}
	}
	version, ok := t.versionFor(e)
	there := t.lives(n, at)
	s, name := spot{}, ""
	if !there {
		s, name = t.placeFor(e, at)
	}
	switch {
	case e.IsDir && !t.op.Version.IsZero():
		return Outcome{Status: IsDirectory}
	case !ok || !there && name == "":
		return Outcome{Status: NotFound}
	case there && t.locked(n) || !there && t.locked(s.dir):
		return Outcome{Status: Locked}
	case s.depth >= MaxDepth:
		return Outcome{Status: TooMany}
	}
	status := Done
	if !there {
		var exact bool
		if e, exact = t.bringBack(e, at, s, name); !exact {
			status = Beside
		}
	}
	if !t.op.Version.IsZero() {
		e = t.edit(e, version.Content, version.ModTime, nil)
	}
	return t.at(status, e)
}

// placeFor returns where a restored node goes; no name when that does not exist.
func (t *txn) placeFor(e Entry, at node) (spot, string) {
	if t.op.ToName == "" {
		return t.oldPlace(at), e.Name
	}
	s, status := t.spotOf(t.op.ToDir)
	if status != 0 {
		return s, ""
	}
	return s, t.op.ToName
}

// versionFor finds the version that a Restore names; true when it names none.
func (t *txn) versionFor(e Entry) (Version, bool) {
	if t.op.Version.IsZero() {
		return Version{}, true
	}
	if e.Version == t.op.Version {
		return Version{ID: e.Version, Content: t.content(e), ModTime: e.ModTime}, true
	}
	for k, b := range t.tx.Scan(versionsKey(e.Node), nil) {
		var v Version
		if decode(k, b, &v); v.ID == t.op.Version {
			return v, true
		}
	}
	return Version{}, false
}
