package raftnode

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

// The log of the only box of a circle may be damaged. No other house has what it said, and nobody but
// the box itself can give its replicas new numbers. What can be read of the log was decided, since this box
// decided alone: it is applied up to the first entry that is missing. Writes behind that are offered
// again, as if they came from the journal. Then each replica begins anew as the only voter.

// errNotAlone says that others count for the shard, or may: they give the new number.
var errNotAlone = errors.New("other boxes count for it")

// salvage makes the state of a replica whose log is lost that of the only voter, under the number
// that it returns, when it is all that there is. It can be done again after any part of it.
func (n *Node) salvage(ctx context.Context, rep *replica) (ident.ReplicaID, error) {
	if id, ok := rep.only(); !ok {
		return 0, errNotAlone
	} else if id != rep.id { // all but its name is done
		return id, nil
	}
	rest, err := n.applyReadable(rep)
	if err != nil {
		return 0, fmt.Errorf("salvage: %w", err)
	}
	if !n.alone(rep) {
		return 0, errNotAlone
	}
	id, command, err := n.numberAlone(ctx, rep)
	if err != nil {
		return 0, err
	}
	if err := n.keepReadable(rep.shard, rest); err != nil {
		return 0, fmt.Errorf("salvage: %w", err)
	}
	if err := rep.beginAlone(id, command); err != nil {
		return 0, fmt.Errorf("salvage: %w", err)
	}
	n.log.Warn("went on with what could be read of the log", "shard", rep.shard, "replica", id, "offered", len(rest))
	n.mended(rep.shard, mends{salvaged: 1})
	return id, nil
}

// only returns the number of the only replica of the shard, when that is this box's.
func (r *replica) only() (id ident.ReplicaID, ok bool) {
	m := r.members.Load()
	for i, box := range m.boxes {
		id, ok = i, box == r.n.cfg.Box && m.isVoter(i)
	}
	return id, ok && len(m.boxes) == 1
}

// alone reports whether nobody else could have anything of a replica's shard.
func (n *Node) alone(rep *replica) (alone bool) {
	if _, ok := rep.only(); !ok {
		return false
	}
	_ = n.Directory(func(v directory.View) error { // without one nobody knows
		r := v.Roster()
		alone = r != nil && r.Active(n.cfg.Box) && len(r.Members()) == 1
		return nil
	})
	return alone
}

// applyReadable applies the entries that can be read and follow the state, as long as this replica
// decided alone, and returns the writes behind the first gap.
func (n *Node) applyReadable(rep *replica) (rest []catalog.Write, err error) {
	if n.cfg.Salvaged == nil {
		return nil, nil
	}
	all, err := n.cfg.Salvaged()
	if err != nil {
		return nil, err
	}
	for _, e := range all[rep.shard] {
		_, alone := rep.only()
		switch applied := appliedIndex(rep.state); {
		case e.GetIndex() <= applied:
		case e.GetIndex() == applied+1 && alone:
			if _, err := rep.applyEntry(e); err != nil {
				return nil, err
			}
		default:
			rest = append(rest, n.ownWrite(e)...)
		}
	}
	return rest, rep.state.Flush()
}

// ownWrite returns the write of an entry, if it is one. What it built on may be lost: it waits for nothing.
func (n *Node) ownWrite(e *pb.Entry) []catalog.Write {
	body, err := decodeEntry(e.GetData())
	if e.GetType() != pb.EntryNormal || err != nil || body.Kind != entryWrite {
		return nil
	}
	w, err := catalog.DecodeWrite(body.Body)
	if err != nil {
		return nil
	}
	w.After, w.Floor = nil, 0
	return []catalog.Write{w}
}

// keepReadable puts writes into the journal, but for those that are there already.
func (n *Node) keepReadable(shard ident.ShardID, ws []catalog.Write) error {
	if len(ws) == 0 || shard == ident.CircleShard {
		return nil
	}
	s := n.Space(shard)
	known := s.waiting()
	fresh := slices.DeleteFunc(slices.Clone(ws), func(w catalog.Write) bool { return known[w.ID] })
	if len(fresh) == 0 {
		return nil
	}
	return s.keepBranch(fresh)
}

// numberAlone returns the number with which a replica begins anew: in the circle's shard with the command
// that says so, which the state begins with; a space's is decided by the circle.
func (n *Node) numberAlone(ctx context.Context, rep *replica) (id ident.ReplicaID, command *directory.Command, err error) {
	var p directory.Placement
	err = n.Directory(func(v directory.View) error {
		p, _ = v.Placement(rep.shard)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	for _, r := range p.Replicas {
		if r.Box == n.cfg.Box && r.ID != rep.id {
			return r.ID, nil, nil // decided by an earlier try
		}
	}
	id = newNumberAfter(p.Next)
	c := directory.Command{By: n.cfg.Box, Time: n.now().UnixMilli(), SetPlacement: &directory.SetPlacement{
		Shard: rep.shard, If: p.Version, Next: id + 1, Replicas: []placement.Replica{{ID: id, Box: n.cfg.Box, Role: placement.Voter}},
	}}
	if rep.shard == ident.CircleShard {
		crand.Read(c.ID[:])
		return id, &c, nil
	}
	try, end := context.WithTimeout(ctx, offerFor)
	defer end()
	out, err := n.Command(try, c)
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("new number refused: %s", out.Code)
	}
	return id, nil, err
}

// beginAlone makes the state that of the only voter, with what the circle is told of it.
func (r *replica) beginAlone(id ident.ReplicaID, command *directory.Command) error {
	index, term := r.state.Applied()
	mem := members{
		conf: &pb.ConfState{Voters: []uint64{uint64(id)}}, boxes: map[ident.ReplicaID]ident.BoxID{id: r.n.cfg.Box},
		era: r.members.Load().era,
	}
	err := r.state.Apply(index+1, term+1+uint64(id)%(1<<24), func(tx kv.Writer) error { // as in enterEra
		if err := mem.write(tx); err != nil || command == nil {
			return err
		}
		out, err := r.n.machine.Apply(tx, index+1, *command)
		if err == nil && out.Code != directory.Done {
			err = fmt.Errorf("new number refused: %s", out.Code)
		}
		return err
	})
	if err == nil {
		r.members.Store(&mem)
		err = r.state.Flush()
	}
	return err
}
