package catalog

// mkdir makes a directory. One of that name is used instead.
func (t *txn) mkdir() Outcome {
	s, status := t.spotOf(t.op.Dir)
	switch {
	case status != 0:
		return t.refuse(status)
	case s.depth >= MaxDepth:
		return t.refuse(TooMany)
	case t.locked(s.dir):
		return t.refuse(Locked)
	}
	if _, taken := t.entryAt(s.dir, t.op.Name); taken && t.op.If.Absent && len(s.missing) == 0 {
		return t.refuse(Precondition)
	}
	dir := t.make(s)
	name, same := t.free(dir, t.op.Name, func(e Entry) bool { return e.IsDir })
	status = Done
	if name != t.op.Name || s.moved {
		status = Beside
	}
	if same != nil {
		t.useInstead(*same)
		return t.at(status, *same)
	}
	e := t.born(NodeOf(t.w.ID), dir, name)
	e.IsDir, e.Props = true, t.op.Props
	t.count(e, +1)
	t.attach(e)
	return t.at(status, e)
}

// move gives a node another name or directory.
func (t *txn) move() Outcome {
	e, at, ok := t.meant()
	if !ok || e.Node == Root || !t.lives(e.Node, at) {
		return t.refuse(NotFound)
	}
	s, status := t.spotOf(t.op.ToDir)
	if status == 0 && (len(s.missing) > 0 || s.moved) {
		status = NotFound // it was removed: the node had better stay where it is
	}
	if status != 0 {
		return t.refuse(status)
	}
	if e.Dir == s.dir && e.Name == t.op.ToName {
		return t.at(Done, e)
	}
	target, taken := t.entryAt(s.dir, t.op.ToName)
	taken = taken && target.Node != e.Node
	if status := t.mayMove(e, s, target, taken); status != 0 {
		return t.refuse(status)
	}
	name := t.op.ToName
	if taken && t.op.Overwrite && target.Name == name {
		t.takeAway(target)
	} else if taken {
		name, _ = t.free(s.dir, name, nil)
	}
	t.tx.Delete(nameKey(e.Dir, fold(e.Name)))
	e.Dir, e.Name, e.Placed = s.dir, name, t.w.ID
	t.attach(e)
	if name != t.op.ToName {
		return t.at(Beside, e)
	}
	return t.at(Done, e)
}

// mayMove judges a move of e to a place where target may stand; 0 allows it.
func (t *txn) mayMove(e Entry, s spot, target Entry, taken bool) Status {
	replaces := taken && t.op.Overwrite && target.Name == t.op.ToName
	switch {
	case !t.op.Base.IsZero() && e.Placed != t.op.Base, !t.matches(e), taken && t.op.If.Absent:
		return Precondition // somebody else moved it first, and knows where it is
	case e.IsDir && t.inside(s.dir, e.Node), replaces && t.inside(e.Dir, target.Node):
		return Cycle
	case s.depth >= MaxDepth:
		return TooMany
	case t.locked(e.Dir), t.lockedBelow(e), t.locked(s.dir), replaces && t.lockedBelow(target):
		return Locked
	}
	return 0
}

// matches judges If.Match. What the author saw may have become another version
// with the same bytes.
func (t *txn) matches(e Entry) bool {
	m := t.op.If.Match
	return m == nil || *m == e.Version || *m == t.op.Base && t.base == e.Version
}

// remove takes a node away. A file that has changed since its author looked stays.
func (t *txn) remove() Outcome {
	e, at, ok := t.meant()
	switch {
	case !ok || e.Node == Root:
		return t.refuse(NotFound)
	case !t.lives(e.Node, at):
		return t.at(Done, e)
	case !e.IsDir && !t.op.Base.IsZero() && e.Version != t.base, !t.matches(e):
		return t.refuse(Precondition)
	case t.locked(e.Dir), t.lockedBelow(e):
		return t.refuse(Locked)
	}
	t.takeAway(e)
	return t.at(Done, e)
}

// setProps replaces the dead properties of a node. They are not content: of two
// that come together the later stays.
func (t *txn) setProps() Outcome {
	e, at, ok := t.meant()
	switch {
	case !ok || !t.lives(e.Node, at):
		return t.refuse(NotFound)
	case !t.matches(e):
		return t.refuse(Precondition)
	case t.locked(e.Node):
		return t.refuse(Locked)
	}
	e.Props = t.op.Props
	t.rewrite(e)
	return t.at(Done, e)
}
