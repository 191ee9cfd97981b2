package directory

import (
	"encoding/binary"

	"redhen/provision/ident"
	"redhen/raftnode/placement"
)

// newSpace makes a space and its first placement. The caller has seen to it that
// the owner exists, or makes it in the same command.
func (t *txn) newSpace(n NewSpace) Code {
	s := n.Space
	switch {
	case t.meta.Spaces >= MaxSpaces:
		return Full
	case t.has(spaceKey(s.ID)), t.has(placementKey(s.ID)):
		return Exists
	case t.has(spaceNameKey(s.Name)):
		return NameTaken
	case !t.allActive(n.Replicas):
		return Stranger
	}
	s.Created, s.Version, s.First = t.cmd.Time, t.index, n.Replicas
	t.put(spaceKey(s.ID), s)
	t.putRaw(spaceNameKey(s.Name), binary.BigEndian.AppendUint64(nil, uint64(s.ID)))
	t.meta.Spaces++
	t.putPlacement(s.ID, Placement{Replicas: n.Replicas, Next: ident.ReplicaID(len(n.Replicas) + 1)})
	return Done
}

func (t *txn) putPlacement(id ident.ShardID, p Placement) {
	p.Version = t.index
	t.put(placementKey(id), p)
}

func (t *txn) allActive(rs []placement.Replica) bool {
	for _, r := range rs {
		if !t.active(r.Box) {
			return false
		}
	}
	return true
}

func (n *NewSpace) apply(t *txn) Code {
	if _, ok := t.standing(n.Space.Owner); !ok {
		return Missing
	}
	return t.newSpace(*n)
}

func (p *PutSpace) apply(t *txn) Code {
	s, ok := t.Space(p.Space.ID)
	switch {
	case !ok:
		return Missing
	case s.Version != p.If:
		return Changed
	case s.Name != p.Space.Name || s.Owner != p.Space.Owner:
		return Invalid
	}
	s.Title, s.Copies, s.Version = p.Space.Title, p.Space.Copies, t.index
	t.put(spaceKey(s.ID), s)
	return Done
}

func (s *SetPlacement) apply(t *txn) Code {
	old, ok := t.Placement(s.Shard)
	switch {
	case !ok:
		return Missing
	case old.Version != s.If:
		return Changed
	case len(s.Replicas) == 0 || s.Next < old.Next:
		return Invalid
	}
	stays := map[placement.Replica]bool{}
	for _, r := range old.Replicas {
		stays[placement.Replica{ID: r.ID, Box: r.Box}] = true
	}
	for _, r := range s.Replicas {
		switch {
		case stays[placement.Replica{ID: r.ID, Box: r.Box}]:
		case r.ID < old.Next: // Invariant: a replica ID never names another replica.
			return Invalid
		case !t.active(r.Box):
			return Stranger
		}
	}
	t.putPlacement(s.Shard, Placement{Replicas: s.Replicas, Next: s.Next, Era: old.Era, Begins: old.Begins})
	return Done
}

func (s *SetBox) apply(t *txn) Code {
	if until := s.Settings.Updating; until > t.cmd.Time {
		switch {
		case until-t.cmd.Time > MaxUpdating:
			return Invalid
		case t.BoxSettings(t.cmd.By).Updating != until && t.anotherUpdates():
			return Changed
		}
	}
	t.put(boxKey(t.cmd.By), s.Settings)
	t.raiseFormats(s.Settings.Reads)
	return Done
}

// anotherUpdates reports whether some other box is in the middle of an update. What is
// farther ahead than MaxUpdating was said by a clock that was wrong.
func (t *txn) anotherUpdates() bool {
	for _, b := range t.roster.Members() {
		if left := t.BoxSettings(b.ID).Updating - t.cmd.Time; b.ID != t.cmd.By && left > 0 && left <= MaxUpdating {
			return true
		}
	}
	return false
}

// raiseFormats raises the format level to what every active box has said it reads.
func (t *txn) raiseFormats(mine uint64) {
	level := mine
	for _, b := range t.roster.Members() {
		if b.ID != t.cmd.By {
			level = min(level, t.BoxSettings(b.ID).Reads)
		}
	}
	t.meta.Formats = max(t.meta.Formats, level)
}

func (e *Entry) apply(t *txn) Code {
	t.note(*e)
	return Done
}
