package catalog

// MaxLocks is how many locks a space has at most, expired ones included until purged.
const MaxLocks = 1000

func (t *txn) lockOn(n NodeID) (l Lock, inForce bool) {
	ok := t.get(lockKey(n), &l)
	return l, ok && l.Expires > t.meta.Time
}

// locked reports whether another account's lock keeps this write from changing n.
func (t *txn) locked(n NodeID) bool {
	if t.meta.Locks == 0 {
		return false
	}
	_, ok := t.covering(n, func(l Lock) bool { return l.Author != t.w.Author })
	return ok
}

// covering finds a lock in force that covers n and that match accepts.
func (t *txn) covering(n NodeID, match func(Lock) bool) (Lock, bool) {
	for m := n; ; {
		if l, ok := t.lockOn(m); ok && (m == n || !l.Depth0) && match(l) {
			return l, true
		}
		at, ok := t.node(m)
		if m == Root || !ok {
			return Lock{}, false
		}
		m = at.Dir
	}
}

// lockedBelow is locked for a node and all that is in it.
func (t *txn) lockedBelow(e Entry) bool {
	if t.meta.Locks == 0 {
		return false
	}
	return t.locked(e.Node) || e.IsDir && t.anyInside(e.Node, func(l Lock) bool { return l.Author != t.w.Author })
}

// anyInside reports whether a lock in force on n or below it matches.
func (t *txn) anyInside(n NodeID, match func(Lock) bool) bool {
	for k, b := range t.tx.Scan([]byte{tableLocks}, nil) {
		var l Lock
		if decode(k, b, &l); l.Expires > t.meta.Time && match(l) && t.inside(l.Node, n) {
			return true
		}
	}
	return false
}

// setLock takes or refreshes a lock. It is exclusive, also within an account.
func (t *txn) setLock() Outcome {
	e, at, ok := t.meant()
	if !ok || !t.lives(e.Node, at) {
		return t.refuse(NotFound)
	}
	l := *t.op.Lock
	l.Node, l.Author = e.Node, t.w.Author
	here := t.tx.Get(lockKey(e.Node)) != nil
	other := func(o Lock) bool { return o.Token != l.Token || o.Author != l.Author }
	_, covered := t.covering(e.Node, other)
	holder := t.tx.Get(tokenKey(l.Token))
	switch {
	case covered, !l.Depth0 && e.IsDir && t.anyInside(e.Node, other):
		return t.refuse(Locked)
	case holder != nil && NodeID(holder) != e.Node:
		return t.refuse(Exists)
	case !here && t.meta.Locks >= MaxLocks:
		return t.refuse(TooMany)
	}
	t.dropLock(e.Node) // an expired one, or the one to refresh
	key := lockKey(e.Node)
	t.tx.Put(key, encode(l))
	t.tx.Put(tokenKey(l.Token), e.Node[:])
	t.meta.Locks++
	t.expire(l.Expires, key)
	return t.at(Done, e)
}

// unlock ends the lock that has the token.
func (t *txn) unlock() Outcome {
	b := t.tx.Get(tokenKey(t.op.Lock.Token))
	if len(b) != len(Root) {
		return t.refuse(NotFound)
	}
	n := NodeID(b)
	l, inForce := t.lockOn(n)
	if inForce && l.Author != t.w.Author {
		return t.refuse(Locked)
	}
	t.dropLock(n)
	if !inForce {
		return t.refuse(NotFound)
	}
	at, _ := t.node(n)
	e, _ := t.entryOf(n, at)
	return t.at(Done, e)
}

// dropLock ends the lock on a node, if there is one.
func (t *txn) dropLock(n NodeID) {
	var l Lock
	if t.meta.Locks == 0 || !t.get(lockKey(n), &l) {
		return
	}
	t.tx.Delete(lockKey(n))
	t.tx.Delete(tokenKey(l.Token))
	t.meta.Locks--
}
