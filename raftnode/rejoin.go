package raftnode

import (
	"context"
	"fmt"

	"redhen/provision/ident"
)

// Rejoin has this box take part in the circle's shard under a number that those gave
// it who went on without it. What it knows stays readable until their state arrives.
// Its spaces follow by themselves: what only this box has of them goes into the
// journals, and from there to the others.
func (n *Node) Rejoin(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	n.mu.Lock()
	for _, b := range boxes {
		n.known[b] = true
	}
	n.mu.Unlock()
	done := make(chan error, 1)
	n.mail.put(func() { n.rejoin(id, func(err error) { done <- err }) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rejoin moves the replica of the circle's shard to its new number; on the loop.
func (n *Node) rejoin(id ident.ReplicaID, then func(error)) {
	g := n.groups[ident.CircleShard]
	switch {
	case g == nil:
		then(ErrNoCircle)
		return
	case id <= n.usedNumber(g.shard):
		then(fmt.Errorf("replica %d: that number was used here", id))
		return
	}
	n.log.Info("back in the circle", "shard", g.shard, "replica", id)
	n.moveTo(g, id, func(rep *replica) error { return inOrder(n.renamingSteps(rep, id)) }, then)
}
