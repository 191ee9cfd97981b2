package raftnode

import (
	"context"
	"slices"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// leaderOf returns the box that leads a shard as far as this box knows: from its
// own replica, from what the last call heard, else some box that holds one. A replica
// that stopped, or has heard of no leader for long, may be the only one.
func (n *Node) leaderOf(ctx context.Context, shard ident.ShardID) (ident.BoxID, error) {
	if rep := n.replica(shard); rep != nil {
		if err := rep.failure(); err == nil && rep.leadless() < apartAfter {
			return n.ownLeader(ctx, rep)
		}
	}
	if box := n.hintLeader(shard); box != "" && box != n.cfg.Box { // the replica here cannot lead
		return box, nil
	}
	holders := n.holders(shard)
	if len(holders) == 0 {
		if rep := n.replica(shard); rep != nil && rep.failure() == nil {
			return n.ownLeader(ctx, rep)
		}
		return "", ErrApart
	}
	next := holders[n.turn.Add(1)%uint64(len(holders))]
	return next, nil
}

// ownLeader waits for the replica here to know a leader that is in reach.
func (n *Node) ownLeader(ctx context.Context, rep *replica) (ident.BoxID, error) {
	for {
		change := rep.changes()
		if v := rep.seen.Load(); v != nil && v.leadBox != "" {
			return v.leadBox, nil
		}
		rep.wake()
		select {
		case <-change:
		case <-rep.life.Done(): // given up, or begun anew
			return "", errNotLeader
		case <-ctx.Done():
			return "", ErrApart
		}
	}
}

// wake has the group of a replica tick, so that it finds a leader.
func (r *replica) wake() {
	r.n.mail.put(func() {
		if g := r.n.groupOf(r); g != nil && g.asleep {
			g.touch()
		}
	})
}

func (n *Node) hintLeader(shard ident.ShardID) ident.BoxID {
	if rep := n.replica(shard); rep != nil && rep.failure() == nil {
		if v := rep.seen.Load(); v != nil && v.leadBox != "" {
			return v.leadBox
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaders[shard]
}

func (n *Node) rememberLeader(shard ident.ShardID, box ident.BoxID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if box == "" {
		delete(n.leaders, shard)
		return
	}
	n.leaders[shard] = box
}

func (n *Node) forgetLeader(shard ident.ShardID) { n.rememberLeader(shard, "") }

// holders returns the boxes that hold a replica by the placement, this one not
// among them, sorted.
func (n *Node) holders(shard ident.ShardID) []ident.BoxID {
	var boxes []ident.BoxID
	_ = n.Directory(func(v directory.View) error { // without a circle there are none
		p, _ := v.Placement(shard)
		for _, r := range p.Replicas {
			if r.Box != n.cfg.Box {
				boxes = append(boxes, r.Box)
			}
		}
		return nil
	})
	slices.Sort(boxes)
	return boxes
}

// leads reports whether this replica leads its shard, by its own last word.
func (r *replica) leads() bool {
	v := r.seen.Load()
	return v != nil && v.leads
}
