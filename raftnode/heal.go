package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
	"redhen/raftnode/raftlog"
	"redhen/raftnode/transport"
)

// Why a replica does not take part, while it is being healed.
var (
	// ErrStateDamaged says that the state file of a replica was damaged. It is kept
	// aside, and the state is fetched from another house.
	ErrStateDamaged = errors.New("the state file is damaged")
	// ErrLogLost says that the raft log of the box was damaged. Its votes are lost
	// with it, so the box gives up its replicas and comes back under new numbers.
	ErrLogLost = errors.New("the raft log is damaged")
)

// serviceState is the service by which a box asks another for a shard's state.
const serviceState = "redhen/state/1"

// stateCall asks for the state of a shard that has applied at least an index;
// with Placement alone, for where its replicas should be; with Log, for where the log
// of the replica there ends.
type stateCall struct {
	Shard     ident.ShardID `cbor:"1,keyasint"`
	AtLeast   uint64        `cbor:"2,keyasint,omitempty"`
	Placement bool          `cbor:"3,keyasint,omitempty"`
	Log       bool          `cbor:"4,keyasint,omitempty"`
}

// stateReply offers a copy of the state as a file, or tells the placement.
type stateReply struct {
	Have      bool                `cbor:"1,keyasint,omitempty"`
	Ref       snapshotRef         `cbor:"2,keyasint"`
	Index     uint64              `cbor:"3,keyasint,omitempty"`
	Placement directory.Placement `cbor:"4,keyasint"`
	End       logEnd              `cbor:"5,keyasint"`
}

func (n *Node) serveState(ctx context.Context, from ident.BoxID, s transport.Stream) {
	var q stateCall
	if err := readCall(s, &q); err != nil {
		n.log.Warn("call refused", "service", serviceState, "box", from.Short(), "err", err)
		return
	}
	if q.Placement {
		var r stateReply
		_ = n.Directory(func(v directory.View) error { // without a circle there is none
			r.Placement, r.Have = v.Placement(q.Shard)
			return nil
		})
		n.reply(s, r)
		return
	}
	rep := n.replica(q.Shard)
	if q.Log {
		if rep == nil || rep.failure() != nil {
			n.reply(s, stateReply{})
		} else {
			n.reply(s, stateReply{Have: true, End: rep.logEnd()})
		}
		return
	}
	if rep == nil || rep.failure() != nil || appliedIndex(rep.state) < max(q.AtLeast, 1) {
		n.reply(s, stateReply{})
		return
	}
	if !n.mayHold(rep, from) {
		n.log.Warn("call refused", "service", serviceState, "box", from.Short(), "shard", q.Shard, "err", "holds no replica")
		n.reply(s, stateReply{})
		return
	}
	done := make(chan stateReply, 1)
	rep.work.put(func() { done <- rep.offerState(q.AtLeast) })
	select {
	case r := <-done: // nobody waits for the network while rep.mu is held: the loop takes it
		n.reply(s, r)
	case <-ctx.Done():
	}
}

// mayHold reports whether a box may fetch a shard's state: to hold it, or to compare it
// with a branch that it brings home. It may read the shard from here anyway.
func (n *Node) mayHold(rep *replica, box ident.BoxID) bool {
	return rep.shard == ident.CircleShard || n.active(box) || rep.members.Load().replicaOf(box) != 0
}

// offerState offers a copy of the state that has at least an index: the last one
// when it is fresh, for somebody may be in the middle of it. By the applier.
func (r *replica) offerState(atLeast uint64) stateReply {
	fresh := func() (stateReply, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		own := r.snapshot
		if own == nil || own.meta.GetIndex() < atLeast || r.n.now().Sub(own.made) >= snapshotHold {
			return stateReply{}, false
		}
		return stateReply{Have: true, Ref: own.ref, Index: own.meta.GetIndex()}, true
	}
	if reply, ok := fresh(); ok {
		return reply
	}
	r.makeSnapshot()
	reply, _ := fresh()
	return reply
}

// setAside keeps a damaged file for whoever wants to look at it.
func setAside(path string, now time.Time) error {
	return os.Rename(path, fmt.Sprintf("%s.damaged-%d", path, now.UnixMilli()))
}

// reopen begins a replica anew whose state was found to be damaged while it ran; on the loop.
func (n *Node) reopen(rep *replica) {
	if n.groupOf(rep) == nil {
		return
	}
	delete(n.groups, rep.shard)
	rep.work.put(func() {
		if err := rep.state.Close(); err != nil {
			n.log.Warn("close state", "shard", rep.shard, "err", err)
		}
		// What the old group gave to the log comes before what the new one reads of it.
		n.cfg.Log.Submit(raftlog.Write{Shard: rep.shard, Done: func(error) {
			n.mail.put(func() { n.replaceReplica(rep, rep.id) })
		}})
	})
}

// replaceReplica puts a freshly opened replica in the place of rep; on the loop.
func (n *Node) replaceReplica(rep *replica, id ident.ReplicaID) {
	rep.end()
	fresh, err := openReplica(n, rep.shard, id)
	if err == nil {
		n.mu.Lock()
		n.replicas[rep.shard] = fresh
		n.mu.Unlock()
		err = n.startGroup(fresh)
	}
	if err != nil {
		n.trouble(rep.shard, err)
		return
	}
	rep.changed()
	if rep.shard == ident.CircleShard {
		n.followCircle()
	}
}

// rebuild fetches the state of a replica whose own was damaged. Its log and its
// votes are whole: it goes on under its number once it has a state again.
func (n *Node) rebuild(ctx context.Context, rep *replica) {
	path := rep.path + ".rebuilt"
	for ctx.Err() == nil {
		index, err := n.fetchState(ctx, rep, path)
		if err == nil {
			n.mail.put(func() { n.rebuilt(rep, path, index) })
			return
		}
		n.log.Info("state not to be had now", "shard", rep.shard, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(debtRetry):
		}
	}
}

// fetchState brings a copy of the state that joins the log here.
func (n *Node) fetchState(ctx context.Context, rep *replica, path string) (uint64, error) {
	first, err := rep.log.FirstIndex()
	if err != nil {
		return 0, err
	}
	last := errors.New("no other house holds it")
	for _, box := range n.sortedByRTT(n.keepersOf(rep.shard)) {
		var r stateReply
		try, end := context.WithTimeout(ctx, callFor)
		err := n.call(try, box, serviceState, stateCall{Shard: rep.shard, AtLeast: first - 1}, &r)
		end()
		if err == nil && !r.Have {
			err = fmt.Errorf("not at %s", box.Short())
		}
		if err == nil {
			err = n.exchange.FetchFile(ctx, box, r.Ref.Name, path, r.Ref.Size, r.Ref.Hash)
		}
		if err == nil {
			return r.Index, nil
		}
		last = err
	}
	return 0, last
}

// keepersOf lists the boxes to ask about a shard; all of them about the circle's,
// which may be the one that is damaged here.
func (n *Node) keepersOf(shard ident.ShardID) []ident.BoxID {
	if shard == ident.CircleShard {
		return n.others()
	}
	return n.holders(shard)
}

// rebuilt goes on with a fetched state; on the loop.
func (n *Node) rebuilt(rep *replica, path string, index uint64) {
	err := rep.beginReset(index)
	if err == nil {
		err = rep.state.Replace(path)
	}
	if err == nil {
		err = rep.state.Close()
	}
	if err != nil {
		n.trouble(rep.shard, err)
		return
	}
	n.log.Info("state fetched again", "shard", rep.shard, "index", index)
	n.mended(rep.shard, mends{states: 1})
	n.replaceReplica(rep, rep.id)
}

// renumber has a replica of this box whose votes were lost with the log begin anew
// under a new number with the state it has: what that holds was committed. What the
// log alone knew of this box's own writes is put into the journal first. Then is
// called on the loop.
func (n *Node) renumber(ctx context.Context, rep *replica, then func(ident.ReplicaID)) {
	for ctx.Err() == nil {
		err := n.keepOwn(rep.shard)
		var id ident.ReplicaID
		if err == nil {
			id, err = n.salvage(ctx, rep)
		}
		if errors.Is(err, errNotAlone) {
			id, err = n.newNumber(ctx, rep)
		}
		if err == nil {
			n.mail.put(func() { then(id) })
			return
		}
		n.log.Info("no new number yet", "shard", rep.shard, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(debtRetry):
		}
	}
}

// keepOwn puts into the journal what this box wrote and is not settled.
func (n *Node) keepOwn(shard ident.ShardID) error {
	if shard == ident.CircleShard {
		return nil
	}
	return n.Space(shard).keepAll()
}

// logGone gives up the number of a replica whose log is found, while raft runs, to
// end before what it promised: the disk said that it had flushed, and had not. The
// rest is as if that had been found at a start; on the loop.
func (n *Node) logGone(g *group) {
	rep := g.rep
	rep.fail(ErrLogLost)
	if err := rep.noteLost(); err != nil {
		n.trouble(g.shard, err)
	}
	n.spawn(func(context.Context) {
		n.renumber(rep.life, rep, func(id ident.ReplicaID) { n.moveLost(g, id) })
	})
}

// moveLost moves a replica whose group still stands to its new number; on the loop.
func (n *Node) moveLost(g *group, id ident.ReplicaID) {
	if n.groups[g.shard] != g {
		return // given up meanwhile, or begun anew
	}
	n.moveTo(g, id, func(rep *replica) error { return inOrder(n.renamingSteps(rep, id)) }, func(err error) {
		if err == nil {
			n.hasNumber(g.rep, id)
		}
	})
}

func (n *Node) hasNumber(rep *replica, id ident.ReplicaID) {
	n.log.Info("replica has a new number", "shard", rep.shard, "replica", id)
	n.mended(rep.shard, mends{logs: 1})
}

// newNumber has the circle count this box's replica under a new number.
func (n *Node) newNumber(ctx context.Context, rep *replica) (ident.ReplicaID, error) {
	p, err := n.askPlacement(ctx, rep.shard)
	if err != nil {
		return 0, err
	}
	next := max(p.Next, rep.id+1)
	for i, r := range p.Replicas {
		switch {
		case r.Box != n.cfg.Box:
		case r.ID != rep.id:
			return r.ID, nil // decided by an earlier try
		default:
			p.Replicas[i].ID = next
		}
	}
	try, end := context.WithTimeout(ctx, offerFor)
	defer end()
	out, err := n.Command(try, directory.Command{SetPlacement: &directory.SetPlacement{
		Shard: rep.shard, If: p.Version, Replicas: slices.SortedFunc(slices.Values(p.Replicas), byNumber), Next: next + 1,
	}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("new number refused: %s", out.Code)
	}
	return next, err
}

func byNumber(a, b placement.Replica) int { return cmp.Compare(a.ID, b.ID) }

// askPlacement asks the others: what this box knows may be old.
func (n *Node) askPlacement(ctx context.Context, shard ident.ShardID) (directory.Placement, error) {
	ctx, end := context.WithTimeout(ctx, attemptFor)
	defer end()
	best, found := directory.Placement{}, false
	for _, box := range n.others() {
		var r stateReply
		if n.call(ctx, box, serviceState, stateCall{Shard: shard, Placement: true}, &r) == nil && r.Have &&
			(!found || r.Placement.Version > best.Version) {
			best, found = r.Placement, true
		}
	}
	if !found {
		return best, ErrApart
	}
	return best, nil
}

// renumbered begins the replica anew; on the loop.
func (n *Node) renumbered(rep *replica, id ident.ReplicaID) {
	if err := inOrder(n.renamingSteps(rep, id)); err != nil {
		n.trouble(rep.shard, err)
		return
	}
	n.hasNumber(rep, id)
	n.replaceReplica(rep, id)
}

// emptyState is the state of a replica that waits for one.
func emptyState(path string, now time.Time) (*kv.Store, error) {
	if err := setAside(path, now); err != nil {
		return nil, err
	}
	return kv.Open(path)
}
