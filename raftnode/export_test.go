package raftnode

import (
	"context"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
)

// ProposeRaw has the leader here propose an entry of any kind and body.
func (n *Node) ProposeRaw(shard ident.ShardID, kind uint8, body []byte) error {
	done := make(chan error, 1)
	n.mail.put(func() { done <- n.propose(shard, n.cfg.Box, entry{Kind: entryKind(kind), Body: body}) })
	return <-done
}

// SettleAgain has a write committed as if its first answer had been lost.
func (n *Node) SettleAgain(ctx context.Context, shard ident.ShardID, w catalog.Write) (catalog.Outcome, error) {
	res, err := n.settleWrite(ctx, shard, w, nil)
	return res.write, err
}

// SettleHeld has a write committed by the word that its bytes are at the first boxes of
// the voters, and returns in how many houses it is kept by that.
func (n *Node) SettleHeld(ctx context.Context, shard ident.ShardID, w catalog.Write, at int) (int, error) {
	res, err := n.settleWrite(ctx, shard, w, n.replica(shard).members.Load().voters()[:at])
	if err == nil && res.write.Status != catalog.Done {
		err = fmt.Errorf("%v", res.write.Status)
	}
	return res.kept, err
}

func (n *Node) settleWrite(ctx context.Context, shard ident.ShardID, w catalog.Write, holders []ident.ReplicaID) (result, error) {
	body, err := catalog.EncodeWrite(w)
	if err != nil {
		return result{}, err
	}
	return n.settle(ctx, shard, writeKey(w.ID), entry{Kind: entryWrite, Body: body, Holders: holders})
}

// Pause stops the loop for a while, as if the whole box had been put to sleep.
func (n *Node) Pause(d time.Duration) { n.mail.put(func() { time.Sleep(d) }) }

// StallApply has nothing applied to a replica's state until the returned function is called.
func (n *Node) StallApply(shard ident.ShardID) (goOn func()) {
	stalled := make(chan struct{})
	n.replica(shard).work.put(func() { <-stalled })
	return func() { close(stalled) }
}

// WakeAlone wakes the replica here and tells nobody.
func (n *Node) WakeAlone(shard ident.ShardID) {
	done := make(chan struct{})
	n.mail.put(func() {
		defer close(done)
		if g := n.groups[shard]; g != nil {
			g.touch()
		}
	})
	<-done
}

// OfferEra has the circle decide that a space goes on from the replica here, without
// waiting until it has had no leader for long.
func (n *Node) OfferEra(ctx context.Context, space ident.ShardID, voters []ident.BoxID) error {
	return n.offerEra(ctx, n.replica(space), voters, nil)
}

// StopReplica stops the replica here.
func (n *Node) StopReplica(shard ident.ShardID, why error) { n.replica(shard).fail(why) }

// Between reports whether the members are being changed, by what the replica here has
// applied: then the old voters are needed, too.
func (n *Node) Between(shard ident.ShardID) bool {
	rep := n.replica(shard)
	return rep != nil && rep.members.Load().joint()
}

// Forget has the garbage collection leave out one kind of root.
func (n *Node) Forget(kind string) { n.care.forgets.Store(&kind) }

// Needed returns the chunks that something on this box needs and must be here. What
// an entry needs that is not applied yet may still have to come.
func (n *Node) Needed(ctx context.Context) (map[chunk.Hash]bool, error) {
	needed := map[chunk.Hash]bool{}
	err := n.neededBut(ctx, rootLogs, func(h chunk.Hash) { needed[h] = true })
	return needed, err
}

// NeededNow is Needed with what Forget leaves out.
func (n *Node) NeededNow(ctx context.Context) (map[chunk.Hash]bool, error) {
	needed := map[chunk.Hash]bool{}
	err := n.needed(ctx, func(h chunk.Hash) { needed[h] = true })
	return needed, err
}

// InterruptTakeover does so many steps of a takeover and leaves it there, as a power
// cut would. It returns how many there are.
func (n *Node) InterruptTakeover(ctx context.Context, lost []ident.BoxID, sign func(directory.View) (roster.Change, error), steps int) (int, error) {
	g, err := n.mayTakeOver(ctx, lost)
	if err != nil {
		return 0, err
	}
	note, _, err := n.rehearse(g.rep, sign)
	if err != nil {
		return 0, err
	}
	if err := onefile.Replace(n.eraPath(g.shard), wire.MustMarshal(note)); err != nil {
		return 0, err
	}
	stopped := make(chan struct{})
	n.mail.put(func() {
		delete(n.groups, g.shard)
		close(stopped)
	})
	<-stopped
	all := n.eraSteps(g.rep, note)
	done := make(chan error, 1)
	g.rep.work.put(func() { done <- inOrder(all[:min(steps, len(all))]) })
	return len(all), <-done
}

// InterruptWay does so many steps of giving way, as the box's next start would, and
// leaves it there. It returns how many there are.
func InterruptWay(cfg Config, steps int) (int, error) {
	n, err := newNode(cfg)
	if err != nil {
		return 0, err
	}
	defer n.end()
	b, err := onefile.Read(n.wayPath(), maxWay)
	var w way
	if err == nil {
		err = wire.Unmarshal(b, &w)
	}
	if err != nil {
		return 0, err
	}
	all, err := n.waySteps(w)
	if err == nil {
		err = inOrder(all[:min(steps, len(all))])
	}
	n.close()
	return len(all), err
}
