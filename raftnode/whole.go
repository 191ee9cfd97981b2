package raftnode

import "redhen/provision/ident"

// wholeness is what a leader knows of a replica's chunks: those of every entry up
// to index to, of the applied ones, are at its box.
type wholeness struct{ to, applied uint64 }

func (w wholeness) whole() bool { return w.to > 0 && w.to == w.applied }

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
	return !g.whole[g.mem.replicaOf(box)].whole()
}

// askWhole asks the replicas that are not known to be whole; of a shard that is
// whole everywhere there is nothing to ask.
func (g *group) askWhole() {
	for id, box := range g.mem.boxes {
		w, sending := g.whole[id], !g.sending[id].IsZero()
		known := g.shard == ident.CircleShard || w.whole() && w.applied+matchSlack >= appliedIndex(g.rep.state) && g.brake.target == nil
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
	t := tellWhole{Shard: g.shard, From: g.id, Busy: g.fetching != nil || g.installing, Applied: appliedIndex(g.rep.state)}
	if g.rep.failure() == nil {
		t.WholeTo = g.rep.debt.wholeTo(t.Applied) // Applied was read before: a later entry may add to the debt
	}
	g.n.post(to, func(f *frame) { f.Tell = append(f.Tell, t) }, 32)
}

// hearWhole notes it. Of a snapshot it says whether that has arrived, or was never
// heard of: raft itself would wait for ever for an answer that was lost, or for the
// answer to a message that was.
func (g *group) hearWhole(t tellWhole) {
	g.whole[t.From] = wholeness{min(t.WholeTo, t.Applied), t.Applied}
	since, sending := g.sending[t.From]
	pr, ok := g.rn.Status().Progress[uint64(t.From)]
	if !sending || !ok || t.Busy {
		return
	}
	if t.Applied >= pr.PendingSnapshot || g.n.now().Sub(since) > snapshotUnheard {
		g.hearLost(lostPart{g.shard, t.From})
	}
}

// forgetWhole is told of a box that began anew: it must say again what it has.
func (n *Node) forgetWhole(box ident.BoxID) {
	for _, g := range n.groups {
		delete(g.whole, g.mem.replicaOf(box))
	}
}
