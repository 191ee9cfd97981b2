package raftnode

import "redhen/provision/ident"

// wholeness is what a leader knows of a replica's chunks.
type wholeness struct {
	whole   bool
	applied uint64
}

// owesChunks reports whether a box is not known to have every chunk of a shard.
// What a box does not say, it owes.
func (n *Node) owesChunks(box ident.BoxID, shard ident.ShardID) bool {
	g := n.groups[shard]
	switch {
	case shard == ident.CircleShard: // it has none
		return false
	case g == nil:
		return true
	case box == n.cfg.Box:
		return g.rep.debt.owes()
	}
	return !g.whole[g.mem.replicaOf(box)].whole
}

// askWhole asks the replicas that are not known to be whole; of a shard that is
// whole everywhere there is nothing to ask.
func (g *group) askWhole() {
	for id, box := range g.mem.boxes {
		w, sending := g.whole[id], !g.sending[id].IsZero()
		known := g.shard == ident.CircleShard || w.whole && w.applied+matchSlack >= appliedIndex(g.rep.state)
		if id == g.id || !g.n.beats.alive(box) || known && !sending {
			continue
		}
		q := askWhole{g.shard, id}
		g.n.post(box, func(f *frame) { f.Ask = append(f.Ask, q) }, 32)
	}
}

// tellWhole says to a shard's leader whether the replica here has every chunk.
func (n *Node) tellWhole(rep *replica) {
	g := n.groupOf(rep)
	if g == nil || g.leads() || g.leaderBox() == "" {
		return
	}
	g.answerWhole(g.leaderBox())
}

func (g *group) answerWhole(to ident.BoxID) {
	applied := appliedIndex(g.rep.state) // before owes: a later entry may add to it
	t := tellWhole{g.shard, g.id, !g.rep.debt.owes() && g.rep.failure() == nil && applied > 0, applied}
	g.n.post(to, func(f *frame) { f.Tell = append(f.Tell, t) }, 32)
}

func (g *group) hearWhole(t tellWhole) {
	g.whole[t.From] = wholeness{t.Whole, t.Applied}
	if g.sending[t.From].IsZero() {
		return
	}
	if pr, ok := g.rn.Status().Progress[uint64(t.From)]; ok && t.Applied >= pr.PendingSnapshot {
		g.hearLost(lostPart{g.shard, t.From}) // it arrived, and the answer to raft was lost
	}
}

// forgetWhole is told of a box that began anew: it must say again what it has.
func (n *Node) forgetWhole(box ident.BoxID) {
	for _, g := range n.groups {
		delete(g.whole, g.mem.replicaOf(box))
	}
}
