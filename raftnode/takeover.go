package raftnode

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
)

// Why a takeover is not begun. Nothing was changed.
var (
	// ErrNotLost says that a box to be given up can be heard.
	ErrNotLost = errors.New("that box can be heard")
	// ErrEnoughLeft says that the boxes that are left can decide together.
	ErrEnoughLeft = errors.New("enough boxes are left")
)

// SurvivorError says that another box that is left must be looked at first: it is
// not in reach, or (Ahead) it has more than this one, and must begin the takeover.
type SurvivorError struct {
	Box   ident.BoxID
	Ahead bool
}

// Error names the box.
func (e *SurvivorError) Error() string {
	if e.Ahead {
		return "box " + e.Box.Short() + " has more than this one"
	}
	return "box " + e.Box.Short() + " is not in reach"
}

// TakeOver has the circle go on from this box without boxes that are lost, so many
// that nothing can be decided with them. sign is given the directory as it will be
// just before, and returns the roster's takeover. When it returns, this box decides
// alone, until others are let in; the spaces go on by themselves.
func (n *Node) TakeOver(ctx context.Context, lost []ident.BoxID, sign func(directory.View) (roster.Change, error)) error {
	for {
		g, err := n.mayTakeOver(ctx, lost)
		if err != nil {
			return err
		}
		note, at, err := n.rehearse(g.rep, sign)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		n.mail.put(func() {
			if last, err := g.rep.log.LastIndex(); err != nil || last != at || n.groups[g.shard] != g || g.leads() {
				done <- cmp.Or(err, errChanging)
				return
			}
			n.beginEra(g, note, func(err error) { done <- err })
		})
		select {
		case err = <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !errors.Is(err, errChanging) {
			return err
		}
		select {
		case <-time.After(retryMin):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mayTakeOver judges whether the circle's shard has lost most of its voters, and
// whether of what is left this box has most.
func (n *Node) mayTakeOver(ctx context.Context, lost []ident.BoxID) (*group, error) {
	type verdict struct {
		g      *group
		others []ident.BoxID
		err    error
	}
	got := make(chan verdict, 1)
	n.mail.put(func() {
		g := n.groups[ident.CircleShard]
		if g == nil {
			got <- verdict{err: ErrNoCircle}
			return
		}
		got <- verdict{g, n.left(g, lost), n.judgeLoss(g, lost)}
	})
	var v verdict
	select {
	case v = <-got:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v.err != nil {
		return nil, v.err
	}
	return v.g, n.hasMost(ctx, v.g.rep, v.others, false)
}

func (n *Node) judgeLoss(g *group, lost []ident.BoxID) error {
	for _, b := range lost {
		if n.beats.alive(b) {
			return fmt.Errorf("%w: %s", ErrNotLost, b.Short())
		}
	}
	if g.mem.heldByMajority(g.mem.at(func(b ident.BoxID) bool { return !slices.Contains(lost, b) })) {
		return ErrEnoughLeft
	}
	return nil
}

// left returns the other boxes with a replica of the shard that are not lost.
func (n *Node) left(g *group, lost []ident.BoxID) []ident.BoxID {
	boxes := slices.Compact(slices.Sorted(maps.Values(g.mem.boxes)))
	return slices.DeleteFunc(boxes, func(b ident.BoxID) bool { return b == n.cfg.Box || slices.Contains(lost, b) })
}

// hasMost returns an error unless every other box answers that its log of the shard
// has no more than the one here; with first, of those that have as much this box must
// be the first by ID.
func (n *Node) hasMost(ctx context.Context, rep *replica, others []ident.BoxID, first bool) error {
	mine := rep.logEnd()
	for _, box := range others {
		var r stateReply
		try, end := context.WithTimeout(ctx, attemptFor)
		err := n.call(try, box, serviceState, stateCall{Shard: rep.shard, Log: true}, &r)
		end()
		switch {
		case err != nil:
			return &SurvivorError{Box: box}
		case !r.Have:
		case r.End.compare(mine) > 0, first && r.End == mine && box < n.cfg.Box:
			return &SurvivorError{box, true}
		}
	}
	return nil
}

// logEnd is the last entry of a replica's log.
type logEnd struct {
	Term  uint64 `cbor:"1,keyasint"`
	Index uint64 `cbor:"2,keyasint"`
}

func (e logEnd) compare(o logEnd) int {
	return cmp.Or(cmp.Compare(e.Term, o.Term), cmp.Compare(e.Index, o.Index))
}

func (r *replica) logEnd() (end logEnd) {
	end.Index, _ = r.log.LastIndex()
	end.Term = r.termAt(end.Index)
	return end
}

// rehearse finds out what the takeover leads to, before anything is changed, and up
// to which entry of the log that holds.
func (n *Node) rehearse(rep *replica, sign func(directory.View) (roster.Change, error)) (note eraNote, last uint64, err error) {
	if last, err = rep.log.LastIndex(); err != nil {
		return note, 0, err
	}
	err = rep.state.ViewAt(func(r kv.Reader, applied uint64) error {
		layer := kv.NewLayer(r)
		err := rep.tail(func(e *pb.Entry) error { return rep.rehearseEntry(layer, applied, e) })
		if err != nil {
			return err
		}
		change, err := sign(n.machine.View(layer))
		if err != nil {
			return err
		}
		body, err := change.TakeoverBody()
		if err != nil {
			return err
		}
		p, _ := n.machine.View(layer).Placement(ident.CircleShard)
		note = eraNote{Old: rep.id, New: newNumberAfter(p.Next), Era: body.Era}
		c := directory.Command{By: n.cfg.Box, Time: n.now().UnixMilli(), Takeover: &directory.Takeover{Change: change, Replica: note.New}}
		crand.Read(c.ID[:])
		if note.Command, err = directory.EncodeCommand(c); err != nil {
			return err
		}
		out, err := n.machine.Apply(layer, last+1, c)
		if err == nil && out.Code != directory.Done {
			err = fmt.Errorf("takeover refused: %s", out.Code)
		}
		return err
	})
	return note, last, err
}

func (r *replica) rehearseEntry(layer *kv.Layer, applied uint64, e *pb.Entry) error {
	if e.GetIndex() <= applied || e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		return nil
	}
	body, err := decodeEntry(e.GetData())
	if err != nil {
		return err
	}
	c, err := directory.DecodeCommand(body.Body)
	if err != nil {
		return err
	}
	_, err = r.n.machine.Apply(layer, e.GetIndex(), c)
	return err
}

// offerEras has this box go on with the spaces here that lost most of their voters
// to boxes that left the circle, where it has most of what is left; on the loop.
func (n *Node) offerEras() {
	for shard, g := range n.groups {
		if shard == ident.CircleShard || g.offering || g.rep.failure() != nil || g.rep.leadless() < apartAfter || !n.lostMost(g) {
			continue
		}
		g.offering = true
		voters := g.voterBoxes()
		others := slices.DeleteFunc(n.left(g, nil), func(b ident.BoxID) bool { return !n.active(b) })
		n.spawn(func(ctx context.Context) {
			if err := n.offerEra(ctx, g.rep, voters, others); err != nil && ctx.Err() == nil {
				n.log.Info("space cannot go on yet", "shard", shard, "err", err)
			}
			n.mail.put(func() { g.offering = false })
		})
	}
}

// lostMost reports whether those voters that are in the circle are no majority.
func (n *Node) lostMost(g *group) bool {
	return len(g.mem.voters()) > 0 && !g.mem.heldByMajority(g.mem.at(n.active))
}

// voterBoxes returns the boxes of the voters: of the half that is lost, while the
// membership is joint.
func (g *group) voterBoxes() []ident.BoxID {
	ids := g.mem.voters()
	left := slices.DeleteFunc(slices.Clone(ids), func(id ident.ReplicaID) bool { return !g.n.active(g.boxOf(id)) })
	if g.mem.joint() && most(ids, left) {
		ids = sortedReplicas(g.mem.conf.GetVotersOutgoing())
	}
	var boxes []ident.BoxID
	for _, id := range ids {
		boxes = append(boxes, g.boxOf(id))
	}
	return boxes
}

func (n *Node) active(b ident.BoxID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[b]
}

func (n *Node) offerEra(ctx context.Context, rep *replica, voters, others []ident.BoxID) error {
	ctx, end := context.WithTimeout(ctx, offerFor)
	defer end()
	if err := n.hasMost(ctx, rep, others, true); err != nil {
		return err
	}
	var p directory.Placement
	err := n.Directory(func(v directory.View) error {
		p, _ = v.Placement(rep.shard)
		return nil
	})
	if err != nil {
		return err
	}
	out, err := n.Command(ctx, directory.Command{BeginEra: &directory.BeginEra{
		Shard: rep.shard, If: p.Version, Box: n.cfg.Box, Replica: newNumberAfter(p.Next), Voters: voters,
	}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("era refused: %s", out.Code)
	}
	return err
}
