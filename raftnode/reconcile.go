package raftnode

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
	"redhen/raftnode/placement"
)

// reconcile brings the memberships of the shards that this box leads nearer to
// their placements. On the loop.
func (n *Node) reconcile() {
	wanted := map[ident.ShardID]directory.Placement{}
	_ = n.Directory(func(v directory.View) error { // without a circle there is nothing to do
		for shard, g := range n.groups {
			if g.leads() {
				wanted[shard], _ = v.Placement(shard)
			}
		}
		return nil
	})
	for shard, p := range wanted {
		n.groups[shard].askWhole()
		if len(p.Replicas) > 0 {
			n.groups[shard].reconcile(p.Replicas)
		}
		n.groups[shard].mark = n.groups[shard].tail
	}
}

// reconcile proposes at most one change of membership: a new replica joins as a
// learner; one that has everything becomes a voter, in one joint change with those
// that go; one that is not wanted goes.
func (g *group) reconcile(want []placement.Replica) {
	if g.mem.joint() || g.rep.failure() != nil {
		return
	}
	st := g.rn.BasicStatus()
	if st.Applied < st.GetCommit() {
		return
	}
	switch {
	case g.addLearner(want):
	case g.changeVoters(want):
	default:
		g.removeLearner(want)
	}
}

func (g *group) addLearner(want []placement.Replica) bool {
	for _, r := range want {
		if !g.mem.has(r.ID) && g.mem.replicaOf(r.Box) == 0 {
			return g.change(map[ident.ReplicaID]ident.BoxID{r.ID: r.Box},
				change(pb.ConfChangeAddLearnerNode, r.ID))
		}
	}
	return false
}

func (g *group) removeLearner(want []placement.Replica) bool {
	for _, id := range slices.Sorted(maps.Keys(g.mem.boxes)) {
		if !g.mem.isVoter(id) && !contains(want, id) {
			return g.change(nil, change(pb.ConfChangeRemoveNode, id))
		}
	}
	return false
}

// changeVoters moves to the wanted voters when those that are new have every
// entry and every chunk, and nothing promised would be lost with those that go. While the shard grows it
// takes them one by one; a swap is one joint change.
func (g *group) changeVoters(want []placement.Replica) bool {
	now := g.mem.voters()
	target, held := g.targetVoters(want)
	arriving := without(target, now)
	leaving := without(now, target)
	if len(arriving)+len(leaving) == 0 {
		return g.makeWay(held, now, want)
	}
	fit := slices.DeleteFunc(slices.Clone(arriving), func(id ident.ReplicaID) bool { return !g.fit(id) })
	switch {
	case len(fit) == len(arriving):
	case len(fit) > 0 && len(leaving) == 0 && len(now) < len(target):
		fit = fit[:1] // one of several; the rest follows
	default:
		return false
	}
	if len(leaving) > 0 && !g.mayLeave(target) {
		return false
	}
	if slices.Contains(leaving, g.id) {
		return g.passOn(target)
	}
	return g.swap(fit, leaving, want)
}

// targetVoters returns the wanted voters. Where a box is to hold a new replica and
// still holds an old one, which votes, the old one stands for it: a box holds one
// replica of a shard at a time. Those are returned in held as well.
func (g *group) targetVoters(want []placement.Replica) (target, held []ident.ReplicaID) {
	for _, r := range want {
		if r.Role != placement.Voter {
			continue
		}
		old := g.mem.replicaOf(r.Box)
		if !g.mem.has(r.ID) && g.mem.isVoter(old) {
			target, held = append(target, old), append(held, old)
			continue
		}
		target = append(target, r.ID)
	}
	return target, held
}

// makeWay takes the vote from an old replica whose box is to hold a new one, as
// long as two voters stay that have everything.
func (g *group) makeWay(held, now []ident.ReplicaID, want []placement.Replica) bool {
	if len(held) == 0 || len(now) < 3 {
		return false
	}
	leaving := held[:1]
	stay := without(now, leaving)
	if !g.mayLeave(stay) {
		return false
	}
	if leaving[0] == g.id {
		return g.passOn(stay)
	}
	return g.swap(nil, leaving, want)
}

// without returns the members of a that are not in b.
func without(a, b []ident.ReplicaID) []ident.ReplicaID {
	return slices.DeleteFunc(slices.Clone(a), func(id ident.ReplicaID) bool { return slices.Contains(b, id) })
}

func (g *group) swap(arriving, leaving []ident.ReplicaID, want []placement.Replica) bool {
	var list []*pb.ConfChangeSingle
	for _, id := range arriving {
		list = append(list, change(pb.ConfChangeAddNode, id))
	}
	for _, id := range leaving {
		if contains(want, id) {
			list = append(list, change(pb.ConfChangeAddLearnerNode, id))
		} else {
			list = append(list, change(pb.ConfChangeRemoveNode, id))
		}
	}
	return len(list) > 0 && g.change(nil, list...)
}

// fit reports whether a learner may become a voter: heard, with every entry that
// there was one beat ago and every chunk but those of the last few; and when it is to be the second voter, heard without a break for long,
// since from then on both houses are needed.
func (g *group) fit(id ident.ReplicaID) bool {
	box := g.boxOf(id)
	pr, ok := g.rn.Status().Progress[uint64(id)]
	if !ok || !g.n.beats.alive(box) || pr.State != tracker.StateReplicate || pr.Match < g.mark {
		return false
	}
	if w := g.whole[id]; g.shard != ident.CircleShard && (w.to == 0 || w.to+matchSlack < g.mark) {
		return false
	}
	since := g.n.beats.contact(box)
	return len(g.mem.conf.GetVoters()) > 1 || g.n.now().Sub(since) >= g.n.cfg.PromoteAfter
}

// passOn moves leadership to a voter that stays.
func (g *group) passOn(target []ident.ReplicaID) bool {
	for _, id := range target {
		if g.mem.isVoter(id) && g.n.beats.alive(g.boxOf(id)) {
			g.touch()
			g.rn.TransferLeader(uint64(id))
			return true
		}
	}
	return false
}

func change(t pb.ConfChangeType, id ident.ReplicaID) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: t.Enum(), NodeId: proto.Uint64(uint64(id))}
}

func contains(want []placement.Replica, id ident.ReplicaID) bool {
	return slices.ContainsFunc(want, func(r placement.Replica) bool { return r.ID == id })
}

// change proposes a change of membership; several parts are one joint change,
// which raft leaves by itself.
func (g *group) change(boxes map[ident.ReplicaID]ident.BoxID, parts ...*pb.ConfChangeSingle) bool {
	cc := &pb.ConfChangeV2{Changes: parts}
	if len(boxes) > 0 {
		cc.Context = wire.MustMarshal(boxes)
	}
	g.touch()
	if err := g.rn.ProposeConfChange(cc); err != nil {
		g.n.log.Debug("conf change not proposed", "shard", g.shard, "err", err)
		return false
	}
	g.confAsked = true
	g.brake = brake{}
	g.n.log.Info("conf change proposed", "shard", g.shard, "change", pb.ConfChangesToString(parts))
	return true
}

// heir returns the voter elsewhere that has most of the log, zero when there is
// none or this box does not lead.
func (g *group) heir() ident.ReplicaID {
	if !g.leads() {
		return 0
	}
	var best ident.ReplicaID
	var match uint64
	for id, pr := range g.rn.Status().Progress {
		r := ident.ReplicaID(id)
		if r != g.id && g.mem.isVoter(r) && g.n.beats.alive(g.boxOf(r)) && pr.Match >= match {
			best, match = r, pr.Match
		}
	}
	return best
}

// String lists the replicas in the order of their numbers.
func (m members) String() string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(m.boxes)) {
		role := "learner"
		if m.isVoter(id) {
			role = "voter"
		}
		parts = append(parts, fmt.Sprintf("%d %s at %s", id, role, m.boxes[id].Short()))
	}
	return strings.Join(parts, ", ")
}
