package raftnode

import (
	"redhen/provision/ident"
)

// askCounted asks the other holders of every shard whose placement does not name
// the replica here any more whether it is still counted: a replica that is removed
// while it is away, or that never hears of the commit of its removal, would stay
// for ever, answer with old state and wait for a leader that does not know it. What
// could not be made of the placements is tried again, too.
func (n *Node) askCounted() {
	if len(n.unbegun) > 0 {
		n.followCircle()
	}
	for shard, g := range n.groups {
		if !g.unplaced {
			continue
		}
		q := askCounted{shard, g.id, appliedIndex(g.rep.state)}
		for _, box := range n.holders(shard) {
			if n.beats.alive(box) {
				n.post(box, func(f *frame) { f.Count = append(f.Count, q) }, 32)
			}
		}
	}
}

func (n *Node) hearCounts(from ident.BoxID, f frame) {
	for _, q := range f.Count {
		if g := n.groups[q.Shard]; g != nil && g.removed(q) {
			t := tellGone{q.Shard, q.From}
			n.post(from, func(f *frame) { f.Gone = append(f.Gone, t) }, 32)
		}
	}
	for _, t := range f.Gone {
		g := n.groups[t.Shard]
		if g != nil && g.id == t.To && g.unplaced && !g.gone {
			g.gone = true
			n.followCircle()
		}
	}
}

// removed reports whether the replica that asks was counted and is no more: what
// is applied here includes all that it has applied, and does not count it. Since
// numbers are never used again, that is for ever.
func (g *group) removed(q askCounted) bool {
	return g.rep.failure() == nil && len(g.mem.boxes) > 0 && appliedIndex(g.rep.state) >= q.Applied && !g.mem.has(q.From)
}
